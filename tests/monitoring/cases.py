"""For each alert: figures with which it fires, and what it says then.

And figures so close that it must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# selector -> values, one a minute (or every `step`), as promtool writes them
Series = Mapping[str, str]

_PIXEL = 'tenant="loja", destination="pixel"'
_WHO = {"tenant": "loja", "destination": "pixel"}
_REASON = f"sinal_breaker_reason{{{_PIXEL}, reason=%s}}"
_HPA = 'namespace="sinal", horizontalpodautoscaler="sinal-match"'
_CONDITION = "kube_horizontalpodautoscaler_status_condition"
_HPA_WHO = {"namespace": "sinal", "horizontalpodautoscaler": "sinal-match"}
_HOOKS = 'sinal_ingest_requests_total{tenant="loja", source="webhook", status=%s}'
_SENT = 'sinal_ingest_requests_total{tenant="loja", source="browser", status="202"}'
_STOPPED = 'sinal_ingest_requests_total{tenant="loja", source="suspended", status="403"}'
_INGEST = 'sinal_build_info{version="1", role="ingest", instance="a"}'
_COVERAGE = 'sinal_signal_coverage_ratio{tenant="loja", signal="em"}'


@dataclass(frozen=True, kw_only=True)
class Case:
    """One alert at one moment; without `labels` it must be silent."""

    alert: str
    why: str
    series: Series
    at: str
    labels: Mapping[str, str] = field(default_factory=dict)
    says: str = ""
    more: str = ""  # the description, where that has figures too
    step: str = "1m"


def _quoted(value: str) -> str:
    return f'"{value}"'


def _reason(reason: str, values: str) -> Series:
    return {_REASON % _quoted(reason): values}


DELIVERY = (
    Case(
        alert="SinalTokenInvalid",
        why="Meta refuses the token",
        series=_reason("credential", "1x20"),
        at="6m",
        labels={**_WHO, "reason": "credential"},
        says="Meta refuses the token: loja, destination pixel.",
    ),
    Case(
        alert="SinalTokenInvalid",
        why="there is no token",
        series=_reason("no_token", "1x20"),
        at="6m",
        labels={**_WHO, "reason": "no_token"},
        says="Meta refuses the token: loja, destination pixel.",
    ),
    Case(
        alert="SinalTokenInvalid",
        why="it worked again at once",
        series=_reason("credential", "1 1 1 stale"),
        at="8m",
    ),
    Case(alert="SinalTokenInvalid", why="Meta fails", series=_reason("retry", "1x20"), at="15m"),
    Case(
        alert="SinalDestinationMisconfigured",
        why="the pixel is wrong",
        series=_reason("configuration", "1x20"),
        at="6m",
        labels=_WHO,
        says="Meta refuses the pixel, the API version or their linkage: loja, destination pixel.",
    ),
    Case(
        alert="SinalDestinationMisconfigured",
        why="it is the token",
        series=_reason("credential", "1x20"),
        at="15m",
    ),
    Case(
        alert="SinalBreakerOpen",
        why="Meta does not answer",
        series=_reason("in_doubt", "1x20"),
        at="11m",
        labels={**_WHO, "reason": "in_doubt"},
        says="Meta fails or does not answer: loja, destination pixel.",
        more="Events wait and are tried again, less and less often. Reason: in_doubt.",
    ),
    Case(alert="SinalBreakerOpen", why="it passed", series=_reason("retry", "1x8 stale"), at="12m"),
    Case(
        alert="SinalBreakerOpen",
        why="the token has an alert of its own",
        series=_reason("credential", "1x20"),
        at="15m",
    ),
    Case(
        alert="SinalBreakerOpen",
        why="somebody suspended it",
        series=_reason("suspended", "1x20"),
        at="15m",
    ),
    Case(
        alert="SinalDeadLettersGrow",
        why="the first dead letters of a process, born as many at once",
        series={
            'sinal_dead_letters_total{tenant="loja", reason="rejected", instance="a"}': "_x60 12x20"
        },
        at="75m",
        labels={"tenant": "loja", "reason": "rejected"},
        says="loja: 12 events given up in half an hour (rejected).",
    ),
    Case(
        alert="SinalDeadLettersGrow",
        why="a process was replaced by another one whose counter begins anew",
        series={
            'sinal_dead_letters_total{tenant="loja", reason="rejected", instance="a"}': "500x60",
            'sinal_dead_letters_total{tenant="loja", reason="rejected", instance="b"}': "_x60 9x20",
        },
        at="75m",
    ),
    Case(
        alert="SinalDeadLettersGrow",
        why="old ones, after eight minutes in which nothing was scraped",
        series={
            'sinal_dead_letters_total{tenant="loja", reason="rejected", '
            'instance="a"}': "500x40 _x8 500x60"
        },
        at="75m",
    ),
)

FLOW = (
    Case(
        alert="SinalBacklogOld",
        why="nobody works",
        series={'sinal_queue_oldest_seconds{tenant="loja", role="match"}': "0+60x30"},
        at="22m",
        labels={"tenant": "loja", "role": "match"},
        says="loja: events have waited 22m 0s for match.",
    ),
    Case(
        alert="SinalBacklogOld",
        why="a destination takes nothing",
        series={
            'sinal_queue_oldest_seconds{tenant="loja", role="dispatch"}': "0+60x30",
            **_reason("credential", "1x30"),
        },
        at="30m",
    ),
    Case(
        alert="SinalBacklogOld",
        why="a destination takes nothing, and nobody matches",
        series={
            'sinal_queue_oldest_seconds{tenant="loja", role="match"}': "0+60x30",
            'sinal_queue_oldest_seconds{tenant="loja", role="dispatch"}': "0+60x30",
            **_reason("credential", "1x30"),
        },
        at="22m",
        labels={"tenant": "loja", "role": "match"},
        says="loja: events have waited 22m 0s for match.",
    ),
    Case(
        alert="SinalBacklogOld",
        why="the tenant is suspended",
        series={
            'sinal_queue_oldest_seconds{tenant="loja", role="match"}': "0+60x30",
            'sinal_queue_oldest_seconds{tenant="loja", role="dispatch"}': "0+60x30",
            'sinal_integrations_suspended{tenant="loja", instance="a"}': "2x30",
            **_reason("suspended", "1x30"),
        },
        at="30m",
    ),
    Case(
        alert="SinalBacklogOld",
        why="an integration is suspended, and nobody sends",
        series={
            'sinal_queue_oldest_seconds{tenant="loja", role="dispatch"}': "0+60x30",
            'sinal_integrations_suspended{tenant="loja"}': "1x30",
        },
        at="22m",
        labels={"tenant": "loja", "role": "dispatch"},
        says="loja: events have waited 22m 0s for dispatch.",
    ),
    Case(
        alert="SinalBacklogOld",
        why="one of the tenants without series of their own is suspended, and nobody matches for "
        "the rest",
        series={
            'sinal_queue_oldest_seconds{tenant="other", role="match"}': "0+60x30",
            'sinal_integrations_suspended{tenant="other", instance="a"}': "2x30",
            'sinal_breaker_reason{tenant="other", destination="other", reason="suspended", '
            'instance="a"}': "1x30",
        },
        at="22m",
        labels={"tenant": "other", "role": "match"},
        says="other: events have waited 22m 0s for match.",
    ),
    Case(
        alert="SinalBacklogOld",
        why="it is being worked off",
        series={'sinal_queue_oldest_seconds{tenant="loja", role="match"}': "0+60x16 0x20"},
        at="20m",
    ),
    Case(
        alert="SinalEventsExpireSoon",
        why="five days",
        series={'sinal_queue_oldest_seconds{tenant="loja", role="dispatch"}': "432000+60x30"},
        at="6m",
        labels={"tenant": "loja"},
        says="loja: conversions have waited 5d 0h 6m 0s; Meta takes them for 7 days.",
    ),
    Case(
        alert="SinalEventsExpireSoon",
        why="four days",
        series={'sinal_queue_oldest_seconds{tenant="loja", role="dispatch"}': "345600+60x30"},
        at="20m",
    ),
    Case(
        alert="SinalSpoolInUse",
        why="NATS is away",
        series={
            'sinal_spool_events{instance="a"}': "0 40+10x20",
            'sinal_spool_events{instance="b"}': "0x20",
        },
        at="7m",
        labels={"instance": "a"},
        says="a keeps 100 accepted events on its disk: it does not reach NATS.",
    ),
    Case(
        alert="SinalSpoolInUse",
        why="for a moment",
        series={'sinal_spool_events{instance="a"}': "0 40 40 0x20"},
        at="8m",
    ),
    Case(
        alert="SinalSpoolFillsUp",
        why="60 of 100 bytes",
        series={
            'sinal_spool_bytes{instance="a"}': "60x20",
            'sinal_spool_limit_bytes{instance="a"}': "100x20",
        },
        at="3m",
        labels={"instance": "a"},
        says="a: 60% of the spool are used.",
    ),
    Case(
        alert="SinalSpoolFillsUp",
        why="a process without a spool",
        series={
            'sinal_spool_bytes{instance="a"}': "0x20",
            'sinal_spool_limit_bytes{instance="a"}': "0x20",
        },
        at="3m",
    ),
    Case(
        alert="SinalHeartbeatMissing",
        why="none for eight minutes",
        series={'sinal_heartbeat_last_timestamp_seconds{instance="a"}': "60x20"},
        at="9m",
        says="No test event has come through for 8m 0s.",
        labels={},
    ),
    Case(
        alert="SinalHeartbeatMissing",
        why="other roles have no heartbeat to tell of",
        series={
            'sinal_heartbeat_last_timestamp_seconds{instance="a"}': "60+60x20",
            'sinal_heartbeat_last_timestamp_seconds{instance="match"}': "0x20",
        },
        at="15m",
    ),
    Case(
        alert="SinalQueueFiguresOld",
        why="NATS does not answer",
        series={"sinal_queue_read_timestamp_seconds": "60x20"},
        at="7m",
        says="Nobody has read the queues' depth for 6m 0s.",
    ),
    Case(
        alert="SinalQueueFiguresOld",
        why="another process reads them",
        series={
            'sinal_queue_read_timestamp_seconds{instance="a"}': "60x20",
            'sinal_queue_read_timestamp_seconds{instance="b"}': "60+60x20",
        },
        at="15m",
    ),
    Case(
        alert="SinalLedgerDifference",
        why="rows that stay",
        series={'sinal_ledger_difference{tenant="loja"}': "0 3x40"},
        at="25m",
        labels={"tenant": "loja"},
        says="loja: 3 rows do not add up.",
    ),
    Case(
        alert="SinalLedgerDifference",
        why="gone at the next check",
        series={'sinal_ledger_difference{tenant="loja"}': "0 3x14 0x30"},
        at="25m",
    ),
    Case(
        alert="SinalChoreStale",
        why="nobody checks the ledger",
        series={'sinal_chore_last_success_timestamp_seconds{chore="ledger"}': "60x80"},
        at="55m",
        labels={"chore": "ledger"},
        says="The chore ledger has not succeeded for 54m 0s.",
    ),
    Case(
        alert="SinalChoreStale",
        why="tables are looked at once an hour",
        series={'sinal_chore_last_success_timestamp_seconds{chore="tables"}': "60x120"},
        at="100m",
    ),
    Case(
        alert="SinalChoreStale",
        why="another process did it",
        series={
            'sinal_chore_last_success_timestamp_seconds{chore="ledger", instance="a"}': "60x80",
            'sinal_chore_last_success_timestamp_seconds{chore="ledger", instance="b"}': "60+60x80",
        },
        at="70m",
    ),
)

TENANTS = (
    Case(
        alert="SinalTenantSilent",
        why="it sent yesterday and a week ago at this hour",
        series={_SENT: "0+10x2280 22800x40", _INGEST: "1x2400"},
        at="8d",
        step="5m",
        labels={"tenant": "loja"},
        says="loja has sent nothing for an hour.",
    ),
    Case(
        alert="SinalTenantSilent",
        why="it is suspended and goes on trying",
        series={_SENT: "0+10x2280 22800x40", _STOPPED: "0x2280 0+10x40", _INGEST: "1x2400"},
        at="8d",
        step="5m",
    ),
    Case(
        alert="SinalTenantSilent",
        why="its series went with the process that had it",
        series={_SENT: "0+10x2280 stale", _INGEST: "1x2400"},
        at="8d",
        step="5m",
        labels={"tenant": "loja"},
        says="loja has sent nothing for an hour.",
    ),
    Case(
        alert="SinalTenantSilent",
        why="it is silent at this hour every day",
        series={_SENT: "0x1980 0+10x276 2760x60", _INGEST: "1x2400"},
        at="8d",
        step="5m",
    ),
    Case(
        alert="SinalTenantSilent",
        why="it still sends a little",
        series={_SENT: "0+10x2280 22801+1x40", _INGEST: "1x2400"},
        at="8d",
        step="5m",
    ),
    Case(
        alert="SinalTenantSilent",
        why="no ingest is there at all, which has an alert of its own",
        series={_SENT: "0+10x2280 stale", _INGEST: "1x2280 stale"},
        at="8d",
        step="5m",
    ),
    Case(
        alert="SinalWebhooksRefused",
        why="the secret was changed",
        series={_HOOKS % '"401"': "0+1x60", _HOOKS % '"202"': "100x60"},
        at="40m",
        labels={"tenant": "loja"},
        says="loja: most webhooks are refused, 30 in half an hour.",
    ),
    Case(
        alert="SinalWebhooksRefused",
        why="somebody knocks at one address while the rest go through",
        series={_HOOKS % '"404"': "0+1x60", _HOOKS % '"202"': "0+9x60"},
        at="40m",
    ),
    Case(
        alert="SinalSignalCoverageFalls",
        why="the page lost its field",
        series={_COVERAGE: "0.8x2304 0.3x40"},
        at="193h30m",
        step="5m",
        labels={"tenant": "loja", "signal": "em"},
        says="loja: only 30% of sales carry em.",
    ),
    Case(
        alert="SinalSignalCoverageFalls",
        why="it was always rare",
        series={_COVERAGE: "0.1x2304 0x40"},
        at="193h30m",
        step="5m",
    ),
    Case(
        alert="SinalSignalCoverageFalls",
        why="a little less",
        series={_COVERAGE: "0.8x2304 0.7x40"},
        at="193h30m",
        step="5m",
    ),
    Case(
        alert="SinalGatewayDrift",
        why="a new status",
        series={
            'sinal_gateway_drift_total{gateway="hotmart", what="unknown_status", '
            'instance="a"}': "_x60 25x30"
        },
        at="80m",
        labels={"gateway": "hotmart", "what": "unknown_status"},
        says="hotmart: unknown_status, 25 times in an hour.",
    ),
    Case(
        alert="SinalGatewayDrift",
        why="known for long",
        series={
            'sinal_gateway_drift_total{gateway="hotmart", what="unknown_status", '
            'instance="a"}': "25x120"
        },
        at="100m",
    ),
)

PLATFORM = (
    Case(
        alert="SinalOperatorNotReconciling",
        why="the leader hangs",
        series={
            'sinal_reconcile_total{kind="Cluster", result="done", instance="a"}': "0+1x10 10x60",
            'sinal_reconcile_total{kind="Tenant", result="unchanged", instance="a"}': "0+9x80",
        },
        at="35m",
        says="No operator has looked at the declared objects for 15 minutes.",
    ),
    Case(
        alert="SinalOperatorNotReconciling",
        why="there is none at all",
        series={},
        at="25m",
        says="No operator has looked at the declared objects for 15 minutes.",
    ),
    Case(
        alert="SinalOperatorNotReconciling",
        why="one works, the other stands by",
        series={
            'sinal_reconcile_total{kind="Cluster", result="done", '
            'instance="a"}': "0x4 1x4 2x4 3x10 4x30",
            'sinal_reconcile_total{kind="Cluster", result="done", instance="b"}': "0x60",
        },
        at="27m",
    ),
    Case(
        alert="SinalReconcileFails",
        why="NATS refuses every fifth",
        series={
            'sinal_reconcile_total{kind="Tenant", result="failed"}': "0+2x60",
            'sinal_reconcile_total{kind="Tenant", result="unchanged"}': "0+8x60",
        },
        at="30m",
        labels={"kind": "Tenant"},
        says="20% of the reconciliations (Tenant) fail.",
    ),
    Case(
        alert="SinalReconcileFails",
        why="one in a hundred",
        series={
            'sinal_reconcile_total{kind="Tenant", result="failed"}': "0+1x60",
            'sinal_reconcile_total{kind="Tenant", result="unchanged"}': "0+99x60",
        },
        at="30m",
    ),
    Case(
        alert="SinalObjectNotReady",
        why="a Secret is missing",
        series={
            "sinal_object_not_ready_since_timestamp_seconds"
            '{kind="Destination", namespace="shops", name="pixel", '
            'reason="SecretNotFound"}': "60x30"
        },
        at="13m",
        labels={
            "kind": "Destination",
            "namespace": "shops",
            "name": "pixel",
            "reason": "SecretNotFound",
        },
        says="Destination shops/pixel is not ready: SecretNotFound.",
        more="For 12m 0s. Its conditions say what is wrong and what to do.",
    ),
    Case(
        alert="SinalObjectNotReady",
        why="a new one",
        series={
            "sinal_object_not_ready_since_timestamp_seconds"
            '{kind="Destination", namespace="shops", name="pixel", reason="Pending"}': "300x30"
        },
        at="13m",
    ),
    Case(
        alert="SinalRoleMissing",
        why="the last one went",
        series={'sinal_build_info{version="1", role="match", instance="a"}': "1x30 stale"},
        at="37m",
        labels={"role": "match"},
        says="No process of the role match is left that Prometheus reaches.",
    ),
    Case(
        alert="SinalRoleMissing",
        why="another took over",
        series={
            'sinal_build_info{version="1", role="match", instance="a"}': "1x30 stale",
            'sinal_build_info{version="2", role="match", instance="b"}': "_x28 1x30",
        },
        at="45m",
    ),
    Case(
        alert="SinalAutoscalerBlind",
        why="no figures",
        series={f'{_CONDITION}{{condition="ScalingActive", status="false", {_HPA}}}': "1x30"},
        at="12m",
        labels=_HPA_WHO,
        says="The autoscaler sinal/sinal-match gets no figures.",
    ),
    Case(
        alert="SinalAutoscalerBlind",
        why="somebody else's",
        series={
            f'{_CONDITION}{{condition="ScalingActive", status="false", '
            'namespace="shop", horizontalpodautoscaler="web"}': "1x30"
        },
        at="20m",
    ),
    Case(
        alert="SinalAutoscalerAtMaximum",
        why="events wait, and no more pods are allowed",
        series={
            f"kube_horizontalpodautoscaler_status_current_replicas{{{_HPA}}}": "10x40",
            f"kube_horizontalpodautoscaler_spec_max_replicas{{{_HPA}}}": "10x40",
            'sinal_queue_oldest_seconds{tenant="loja", role="match"}': "600x40",
        },
        at="20m",
        labels=_HPA_WHO,
        says="sinal/sinal-match is at its maximum, and events wait.",
    ),
    Case(
        alert="SinalAutoscalerAtMaximum",
        why="nothing waits",
        series={
            f"kube_horizontalpodautoscaler_status_current_replicas{{{_HPA}}}": "10x40",
            f"kube_horizontalpodautoscaler_spec_max_replicas{{{_HPA}}}": "10x40",
            'sinal_queue_oldest_seconds{tenant="loja", role="match"}': "3x40",
        },
        at="30m",
    ),
    Case(
        alert="SinalCertificateExpires",
        why="in two days",
        series={
            'sinal_adapter_certificate_expiry_timestamp_seconds{instance="a"}': "180000x200",
            'sinal_adapter_certificate_expiry_timestamp_seconds{instance="match"}': "0x200",
        },
        at="2h",
        says="The metrics adapter's certificate ends in 2d 0h 0m 0s.",
    ),
    Case(
        alert="SinalCertificateExpires",
        why="in a month",
        series={'sinal_adapter_certificate_expiry_timestamp_seconds{instance="a"}': "2600000x200"},
        at="2h",
    ),
    Case(
        alert="SinalBackupOld",
        why="the nightly one of yesterday failed",
        series={'sinal_backup_last_success_timestamp_seconds{instance="a"}': "0x2400"},
        at="38h",
        says="The newest good backup is 1d 14h 0m 0s old.",
    ),
    Case(
        alert="SinalBackupOld",
        why="another replica knows of a newer one",
        series={
            'sinal_backup_last_success_timestamp_seconds{instance="a"}': "0x2400",
            'sinal_backup_last_success_timestamp_seconds{instance="b"}': "90000x2400",
        },
        at="38h",
    ),
)

ALL = {
    "sinal-delivery": DELIVERY,
    "sinal-flow": FLOW,
    "sinal-tenants": TENANTS,
    "sinal-platform": PLATFORM,
}
