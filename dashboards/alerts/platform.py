"""Alerts on the platform itself: the operator, roles that are gone, autoscaling, certificates."""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group

_HPA = 'horizontalpodautoscaler=~".*(match|dispatch|ingest).*"'
_ROUNDS = 'sinal_reconcile_total{kind="Cluster", result=~"done|incomplete"}'

GROUP = Group(
    "sinal-platform",
    [
        Alert(
            name="SinalOperatorNotReconciling",
            # A round over all objects comes every five minutes at the latest, whichever replica
            # leads.
            expr=f"(sum(increase({_ROUNDS}[15m])) or vector(0)) == 0",
            lasting="5m",
            severity="critical",
            summary="No operator has looked at the declared objects for 15 minutes.",
            description="What is provisioned works on; changes, new tenants and new tokens are not "
            "taken over.",
            board="sinal-operator",
        ),
        Alert(
            name="SinalReconcileFails",
            expr=(
                'sum by (kind) (rate(sinal_reconcile_total{result=~"failed|incomplete"}[10m]))\n'
                "/ sum by (kind) (rate(sinal_reconcile_total[10m])) > 0.1"
            ),
            lasting="10m",
            severity="warning",
            summary="{{ $value | humanizePercentage }} of the reconciliations ({{ $labels.kind }}) "
            "fail.",
            description="NATS refuses, or the API server does. A full disk of NATS is one cause: "
            "see nats-disk-full.",
            board="sinal-operator",
        ),
        Alert(
            name="SinalObjectNotReady",
            expr=(
                "time() - min by (kind, namespace, name, reason) "
                "(sinal_object_not_ready_since_timestamp_seconds) > 600"
            ),
            lasting="1m",
            severity="warning",
            summary="{{ $labels.kind }} {{ $labels.namespace }}/{{ $labels.name }} is not ready: "
            "{{ $labels.reason }}.",
            description="For {{ $value | humanizeDuration }}. Its conditions say what is wrong and "
            "what to do.",
            board="sinal-operator",
        ),
        Alert(
            name="SinalRoleMissing",
            expr=(
                "count by (role) (count_over_time(sinal_build_info[1d]))\n"
                "unless on (role) count by (role) (sinal_build_info)"
            ),
            lasting="5m",
            severity="critical",
            summary="No process of the role {{ $labels.role }} is left that Prometheus reaches.",
            description=(
                "It ran within a day. Either it does not run, or nothing is known of it, and other "
                "alerts see nothing."
            ),
            board="sinal-queues",
        ),
        Alert(
            name="SinalAutoscalerBlind",
            expr=(
                "max by (namespace, horizontalpodautoscaler) "
                "(kube_horizontalpodautoscaler_status_condition"
                f'{{condition="ScalingActive", status="false", {_HPA}}}) == 1'
            ),
            lasting="10m",
            severity="warning",
            summary="The autoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} "
            "gets no figures.",
            description="It keeps the number of pods as it is. The metrics adapter or KEDA does "
            "not answer.",
            board="sinal-queues",
        ),
        Alert(
            name="SinalAutoscalerAtMaximum",
            expr=(
                "(max by (namespace, horizontalpodautoscaler) "
                f"(kube_horizontalpodautoscaler_status_current_replicas{{{_HPA}}})\n"
                ">= max by (namespace, horizontalpodautoscaler) "
                f"(kube_horizontalpodautoscaler_spec_max_replicas{{{_HPA}}}))\n"
                "and on () max(sinal_queue_oldest_seconds) > 300"
            ),
            lasting="15m",
            severity="warning",
            summary="{{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} is at its "
            "maximum, and events wait.",
            description="More pods are not allowed. Raise the maximum, or find what makes each of "
            "them slow.",
            board="sinal-queues",
        ),
        Alert(
            name="SinalCertificateExpires",
            expr="min(sinal_adapter_certificate_expiry_timestamp_seconds > 0) - time() < 7 * 86400",
            lasting="1h",
            severity="warning",
            summary="The metrics adapter's certificate ends in {{ $value | humanizeDuration }}.",
            description="It should have renewed itself. When it ends, autoscaling and the deletion "
            "of namespaces stop.",
            board="sinal-operator",
        ),
        Alert(
            name="SinalBackupOld",
            expr="time() - max(sinal_backup_last_success_timestamp_seconds) > 36 * 3600",
            lasting="1h",
            severity="warning",
            summary="The newest good backup is {{ $value | humanizeDuration }} old.",
            description="Or there is none. What was accepted since is lost with the disks of "
            "PostgreSQL and NATS.",
            board="sinal-operator",
        ),
    ],
)
