"""Alerts on what is under way: queues, spool, heartbeat, ledger."""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group
from dashboards.promql import HEARTBEAT, OLDEST

# A destination that takes nothing has an alert of its own, or is suspended; both of them wait for
# dispatch only. `other` stands for all tenants without series of their own: one of them that is
# stopped must not silence the rest.
_STOPPED = (
    'label_replace(max by (tenant) (sinal_breaker_reason{tenant!="other"}) > 0, "role", '
    '"dispatch", "", "")'
)
_SUSPENDED = (
    'label_replace(max by (tenant) (sinal_integrations_suspended{tenant!="other"}) > 0, "role", '
    '"match", "", "")'
)
_DONE = "sinal_chore_last_success_timestamp_seconds"

GROUP = Group(
    "sinal-flow",
    [
        Alert(
            name="SinalBacklogOld",
            expr=f"({OLDEST} > 900) unless on (tenant, role) ({_STOPPED} or {_SUSPENDED})",
            lasting="5m",
            severity="critical",
            summary="{{ $labels.tenant }}: events have waited {{ $value | humanizeDuration }} for "
            "{{ $labels.role }}.",
            description="Workers do not keep up, or don't work. Nothing is lost while NATS has "
            "room.",
            board="sinal-queues",
        ),
        Alert(
            name="SinalEventsExpireSoon",
            expr='max by (tenant) (sinal_queue_oldest_seconds{role="dispatch"}) > 5 * 86400',
            lasting="5m",
            severity="critical",
            summary=(
                "{{ $labels.tenant }}: conversions have waited {{ $value | humanizeDuration }}; "
                "Meta takes them "
                "for 7 days."
            ),
            description=(
                "Whatever keeps them has to be mended now: what is older than seven days becomes a "
                "dead letter."
            ),
            board="sinal-delivery",
        ),
        Alert(
            name="SinalSpoolInUse",
            expr="sum by (instance) (sinal_spool_events) > 0",
            lasting="5m",
            severity="warning",
            summary=(
                "{{ $labels.instance }} keeps {{ $value | humanize }} accepted events on its disk: "
                "it does not "
                "reach NATS."
            ),
            description=(
                "They are published when NATS takes them again. If NATS's disk is full, see the "
                "runbook "
                "nats-disk-full: it may "
                "have to be restarted (nats-restart)."
            ),
            board="sinal-queues",
        ),
        Alert(
            name="SinalSpoolFillsUp",
            expr="max by (instance) (sinal_spool_bytes / (sinal_spool_limit_bytes > 0)) > 0.5",
            lasting="1m",
            severity="critical",
            summary="{{ $labels.instance }}: {{ $value | humanizePercentage }} of the spool are "
            "used.",
            description=(
                "When it is full, senders are answered 503. See also the runbooks nats-disk-full "
                "and nats-restart."
            ),
            board="sinal-queues",
        ),
        Alert(
            name="SinalHeartbeatMissing",
            expr=f"{HEARTBEAT} > 300",
            lasting="2m",
            severity="critical",
            summary="No test event has come through for {{ $value | humanizeDuration }}.",
            description=(
                "NATS, matching or PostgreSQL does not work for anybody. After NATS was replaced, "
                "see nats-restart."
            ),
            board="sinal-queues",
        ),
        Alert(
            name="SinalQueueFiguresOld",
            expr="time() - max(sinal_queue_read_timestamp_seconds > 0) > 120",
            lasting="3m",
            severity="warning",
            summary="Nobody has read the queues' depth for {{ $value | humanizeDuration }}.",
            description=(
                "Housekeeping does not reach NATS. Autoscaling and every alert on queues stand on "
                "these figures."
            ),
            board="sinal-queues",
        ),
        Alert(
            name="SinalLedgerDifference",
            expr="max by (tenant) (sinal_ledger_difference) > 0",
            lasting="20m",
            severity="critical",
            summary="{{ $labels.tenant }}: {{ $value | humanize }} rows do not add up.",
            description=(
                "An accepted event has no proof of what became of it. That is a fault of Sinal; "
                "the log names the rows."
            ),
        ),
        Alert(
            name="SinalChoreStale",
            expr=(
                f'(time() - max by (chore) ({_DONE}{{chore!="tables"}}) > 2700)\n'
                f'or (time() - max by (chore) ({_DONE}{{chore="tables"}}) > 3 * 3600)'
            ),
            lasting="5m",
            severity="warning",
            summary="The chore {{ $labels.chore }} has not succeeded for {{ $value | "
            "humanizeDuration }}.",
            description="ledger: nobody checks that events add up. tables: soon there is no "
            "partition to write to.",
            board="sinal-operator",
        ),
    ],
)
