"""Queues and autoscaling: how much waits, how fast it is worked off, by how many, and whether that
may grow.
"""

from __future__ import annotations

from dashboards import promql
from dashboards.board import GREEN, Board, Panel, Query, Row, board_link, runbook

_TENANT = board_link("sinal-tenant", "This tenant", tenant="labels.tenant")
_DONE = (
    # stage, role
    'label_replace(sum(rate(sinal_event_latency_seconds_count{stage="%s"}[5m])), "role", "%s", "", '
    '"")'
)
_SPEED = " or ".join(_DONE % pair for pair in (("matched", "match"), ("delivered", "dispatch")))
_KSM = "kube-state-metrics"
_HPA = 'horizontalpodautoscaler=~".*(match|dispatch|ingest).*"'

_WAIT = Row(
    "How much waits, and for how long?",
    (
        Panel(
            kind="lines",
            title="How many messages wait for each role?",
            why="Waiting and being worked on, of all tenants. This is what the autoscaler sees.",
            unit="short",
            queries=(Query(f"sum by (role) ({promql.DEPTH})", "{{role}}"),),
            links=(runbook("SinalBacklogOld"),),
        ),
        Panel(
            kind="lines",
            title="How old is the oldest?",
            why=(
                "The worst of all tenants. It grows while a role does not keep up, or while a "
                "destination takes "
                "nothing."
            ),
            unit="s",
            queries=(Query("max by (role) (sinal_queue_oldest_seconds)", "{{role}}"),),
            steps=(GREEN, (300, "orange"), (900, "red")),
            links=(runbook("SinalBacklogOld"),),
        ),
        Panel(
            kind="bars",
            title="Whose are they?",
            why="The fifteen deepest queues now. One tenant's depth does not slow another's down.",
            unit="short",
            queries=(Query(f"topk(15, {promql.DEPTH} > 0)", "{{tenant}} ({{role}})"),),
            empty="Nobody's: all queues are empty",
            values=(_TENANT,),
        ),
        Panel(
            kind="lines",
            title="When will it be worked off?",
            why="Depth divided by the speed of the last five minutes. Long and growing: more "
            "processes are needed.",
            unit="s",
            queries=(
                Query(f"sum by (role) ({promql.DEPTH}) / on (role) ({_SPEED}) < Inf", "{{role}}"),
            ),
        ),
    ),
)

_WORK = Row(
    "Who works on it, and how fast?",
    (
        Panel(
            kind="lines",
            title="How many processes has each role?",
            why="Those that Prometheus reaches.",
            unit="short",
            queries=(Query("count by (role) (sinal_build_info)", "{{role}}"),),
            links=(runbook("SinalRoleMissing"),),
        ),
        Panel(
            kind="lines",
            title="How many events a second does each get done?",
            why="matched: joined and written. delivered: taken by Meta.",
            unit="short",
            queries=(
                Query(promql.rate("sinal_event_latency_seconds_count", "stage"), "{{stage}}"),
            ),
        ),
        Panel(
            kind="lines",
            title="How long does a batch of matching take?",
            why=(
                "One transaction. If it grows while the depth does, PostgreSQL is what limits, and "
                "more "
                "processes won't help."
            ),
            unit="s",
            queries=(
                Query(promql.mean("sinal_match_seconds"), "mean"),
                Query(promql.quantile(0.99, "sinal_match_seconds"), "99 %"),
            ),
        ),
        Panel(
            kind="lines",
            title="What does the autoscaler want, and what has it got?",
            why="Desired and current replicas. At its maximum it can't help any more.",
            unit="short",
            queries=(
                Query(
                    "max by (horizontalpodautoscaler) "
                    f"(kube_horizontalpodautoscaler_status_desired_replicas{{{_HPA}}})",
                    "{{horizontalpodautoscaler}} wants",
                ),
                Query(
                    "max by (horizontalpodautoscaler) "
                    f"(kube_horizontalpodautoscaler_status_current_replicas{{{_HPA}}})",
                    "{{horizontalpodautoscaler}} has",
                ),
                Query(
                    f"max by (horizontalpodautoscaler) "
                    f"(kube_horizontalpodautoscaler_spec_max_replicas{{{_HPA}}})",
                    "{{horizontalpodautoscaler}} may have",
                ),
            ),
            needs=_KSM,
            empty="No autoscaler, or no kube-state-metrics",
            links=(runbook("SinalAutoscalerBlind"),),
        ),
        Panel(
            kind="lines",
            title="What does the adapter answer the autoscaler?",
            why="200: a figure. 503: NATS is away, and no old figure is told. Nothing: nobody "
            "asks.",
            unit="reqps",
            queries=(
                Query(
                    promql.rate("sinal_adapter_requests_total", "metric, status"),
                    "{{metric}} {{status}}",
                ),
            ),
            width=24,
            height=5,
            empty="No adapter runs, or nobody asks",
            links=(runbook("SinalAutoscalerBlind"),),
        ),
        Panel(
            kind="stat",
            title="How old are these figures?",
            why=(
                "Depths are read every five seconds. Old figures: NATS does not answer "
                "housekeeping, and the "
                "autoscaler "
                "sees nothing new."
            ),
            unit="s",
            queries=(Query("time() - max(sinal_queue_read_timestamp_seconds > 0)"),),
            width=6,
            height=5,
            steps=(GREEN, (60, "orange"), (120, "red")),
            links=(runbook("SinalQueueFiguresOld"),),
        ),
        Panel(
            kind="lines",
            title="How long does a heartbeat take?",
            why="From the broker through matching to its row in PostgreSQL.",
            unit="s",
            queries=(Query("max(sinal_heartbeat_seconds)", "last heartbeat"),),
            width=18,
            height=5,
            links=(runbook("SinalHeartbeatMissing"),),
        ),
    ),
)

_DISK = Row(
    "Is the broker away from ingest?",
    (
        Panel(
            kind="lines",
            title="How many events wait on ingest's disks?",
            why="The ten fullest processes. Their events are published in their order when NATS is "
            "back.",
            unit="short",
            queries=(Query("topk(10, sinal_spool_events)", "{{instance}}"),),
            width=6,
            links=(runbook("SinalSpoolInUse"), runbook("nats-disk-full"), runbook("nats-restart")),
        ),
        Panel(
            kind="lines",
            title="How old is the oldest?",
            why="Events that stay while NATS is there: their tenant's queue is full, or it is "
            "gone.",
            unit="s",
            queries=(Query("topk(10, sinal_spool_oldest_seconds)", "{{instance}}"),),
            width=6,
            links=(runbook("SinalSpoolInUse"),),
        ),
        Panel(
            kind="lines",
            title="How full are the spools?",
            why="A full one answers 503.",
            unit="percentunit",
            queries=(
                Query(
                    "topk(10, sinal_spool_bytes / (sinal_spool_limit_bytes > 0))", "{{instance}}"
                ),
            ),
            width=6,
            steps=(GREEN, (0.5, "orange"), (0.8, "red")),
            links=(runbook("SinalSpoolFillsUp"),),
        ),
        Panel(
            kind="lines",
            title="What becomes of them?",
            why="spooled: put on disk. replayed: published. duplicate: the broker had it. damaged: "
            "a record that "
            "could not be read.",
            unit="short",
            queries=(Query(promql.rate("sinal_spool_records_total", "what"), "{{what}}"),),
            width=6,
            empty="None was ever spooled",
        ),
    ),
)

BOARD = Board(
    uid="sinal-queues",
    title="Sinal / Queues and autoscaling",
    description="How much waits, how fast it is worked off and by how many, and whether ingest "
    "reaches the broker.",
    rows=(_WAIT, _WORK, _DISK),
)
