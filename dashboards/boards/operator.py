"""The operator and what works behind the scenes: declared objects, reconciliations, chores,
certificates.
"""

from __future__ import annotations

from dashboards import promql
from dashboards.board import GREEN, Board, Panel, Query, Row, runbook

_OBJECTS = Row(
    "Is everything as declared?",
    (
        Panel(
            kind="stat",
            title="How many objects are not ready?",
            why="Tenants, destinations, funnels and integrations whose condition Ready is not "
            "True.",
            unit="short",
            queries=(Query('max by (kind) (sinal_objects{ready="false"})', "{{kind}}"),),
            width=8,
            height=6,
            steps=(GREEN, (1, "red")),
            links=(runbook("SinalObjectNotReady"),),
        ),
        Panel(
            kind="table",
            title="Which, for how long, and why?",
            why="The first hundred. `kubectl describe` says what to do; reasons are in the page on "
            "the operator.",
            unit="short",
            queries=(
                Query(
                    "time() - min by (kind, namespace, name, reason) "
                    "(sinal_object_not_ready_since_timestamp_seconds)"
                ),
            ),
            width=16,
            height=6,
            columns=("Not ready for",),
            units=("s",),
            empty="Every object is ready",
            links=(runbook("SinalObjectNotReady"),),
        ),
        Panel(
            kind="lines",
            title="How many objects are there?",
            why="By kind and readiness, and plans whose Tenant is gone: their sales go on until "
            "somebody removes them.",
            unit="short",
            queries=(
                Query("max by (kind, ready) (sinal_objects)", "{{kind}}, ready {{ready}}"),
                Query("max(sinal_orphaned_plans)", "plans without a Tenant"),
            ),
        ),
        Panel(
            kind="bars",
            title="Who still uses what an earlier mint key made?",
            why="Requests of the last day. When nobody does, the earlier key can be retired.",
            unit="short",
            queries=(
                Query(
                    "topk(15, sum by (tenant, what) "
                    "(increase(sinal_ingest_earlier_keys_total[1d])) > 0)",
                    "{{tenant}}: {{what}}",
                ),
            ),
            empty="Nobody",
        ),
        Panel(
            kind="lines",
            title="What do reconciliations come to?",
            why=(
                "Tenant: one tenant's stream, consumers and plan at NATS, every five seconds. "
                "Cluster: a round "
                "over all "
                "objects, when something changed."
            ),
            unit="short",
            queries=(
                Query(promql.rate("sinal_reconcile_total", "kind, result"), "{{kind}} {{result}}"),
            ),
            stacked=True,
            links=(runbook("SinalReconcileFails"),),
        ),
        Panel(
            kind="lines",
            title="How long does it take?",
            why="One reconciliation of a tenant, and one round over all objects.",
            unit="s",
            queries=(
                Query(promql.mean("sinal_reconcile_seconds", "kind"), "{{kind}}, mean"),
                Query(promql.quantile(0.99, "sinal_reconcile_seconds", "kind"), "{{kind}}, 99 %"),
            ),
        ),
        Panel(
            kind="lines",
            title="How long does NATS take to answer the operator?",
            why="Single requests to NATS' API, 99 % of each kind. A reconciliation of a tenant is "
            "little else.",
            unit="s",
            queries=(
                Query(
                    promql.quantile(0.99, "sinal_nats_request_seconds", "operation"),
                    "{{operation}}",
                ),
            ),
        ),
        Panel(
            kind="lines",
            title="Which of its requests does NATS not grant?",
            why=(
                "refused: NATS says why, and so does the condition of the tenant. unanswered: no "
                "answer within five "
                "seconds, or the connection went."
            ),
            unit="short",
            queries=(
                Query(
                    promql.rate(
                        "sinal_nats_request_seconds_count",
                        "operation, result",
                        'result=~"refused|unanswered"',
                    ),
                    "{{operation}} {{result}}",
                ),
            ),
            empty="NATS grants all that it is asked",
            links=(runbook("SinalReconcileFails"),),
        ),
        Panel(
            kind="stat",
            title="When was all as declared, last?",
            why="A round ends well when every status could be written. There is one at least every "
            "five minutes.",
            unit="s",
            queries=(Query("time() - max(sinal_reconcile_last_success_timestamp_seconds > 0)"),),
            width=4,
            steps=(GREEN, (600, "orange"), (900, "red")),
            links=(runbook("SinalOperatorNotReconciling"),),
        ),
        Panel(
            kind="stat",
            title="How many operators lead?",
            why="One of several works, the others stand by. None for long: nothing that is "
            "declared is taken over.",
            unit="short",
            queries=(Query("sum(sinal_leader)"),),
            width=4,
            steps=((0, "red"), (0, "red"), (1, "green"), (2, "red")),
            links=(runbook("SinalOperatorNotReconciling"),),
        ),
        Panel(
            kind="stat",
            title="How long is the adapter's certificate good?",
            why="Of the metrics adapter's serving certificate. It renews itself long before the "
            "end.",
            unit="s",
            queries=(
                Query("min(sinal_adapter_certificate_expiry_timestamp_seconds > 0) - time()"),
            ),
            width=4,
            steps=((0, "red"), (0, "red"), (7 * 86400, "green")),
            empty="No adapter runs",
            links=(runbook("SinalCertificateExpires"),),
        ),
        Panel(
            kind="stat",
            title="Which share of the autoscaler's questions fails?",
            why="Of the last ten minutes. While depths are not known nothing is scaled; 503 is the "
            "broker's absence.",
            unit="percentunit",
            queries=(
                Query(
                    '(sum(rate(sinal_adapter_requests_total{status!="200"}[10m])) or vector(0)) '
                    "/ sum(rate(sinal_adapter_requests_total[10m]))"
                ),
            ),
            width=4,
            steps=(GREEN, (0.01, "orange"), (0.5, "red")),
            empty="No autoscaler asks",
        ),
    ),
)

_FAILED = promql.grown("sinal_chore_failures_total", "", "1h")

_CHORES = Row(
    "Is the house kept?",
    (
        Panel(
            kind="table",
            title="When was each chore done last?",
            why=(
                "By any process. tables: partitions and retention, hourly. ledger: every 15 "
                "minutes. rollups, "
                "stranded, "
                "heartbeat, erasures: within minutes."
            ),
            unit="s",
            queries=(
                Query("time() - max by (chore) (sinal_chore_last_success_timestamp_seconds)"),
                Query(
                    f"sum by (chore) ({_FAILED}) or 0 * max by (chore) "
                    "(sinal_chore_last_success_timestamp_seconds)"
                ),
            ),
            columns=("Done", "Failures in an hour"),
            units=("s", "short"),
            links=(runbook("SinalChoreStale"),),
        ),
        Panel(
            kind="lines",
            title="How long do they take?",
            why="The mean of one run.",
            unit="s",
            queries=(Query(promql.mean("sinal_chore_seconds", "chore"), "{{chore}}"),),
        ),
        Panel(
            kind="stat",
            title="How many people wait to be forgotten?",
            why="Erasures that were asked for and are not done yet.",
            unit="short",
            queries=(Query("max(sinal_erasures_waiting)"),),
            width=6,
            height=5,
        ),
        Panel(
            kind="lines",
            title="Do gateways say what nobody understands?",
            why="Unknown statuses and fields, and approved sales that lack something, by gateway.",
            unit="short",
            queries=(
                Query(
                    promql.rate("sinal_gateway_drift_total", "gateway, what"),
                    "{{gateway}}: {{what}}",
                ),
            ),
            width=9,
            height=5,
            empty="They speak as expected",
            links=(runbook("SinalGatewayDrift"),),
        ),
        Panel(
            kind="lines",
            title="Do notices of gateways get read back?",
            why="Some gateways send ids only, and the sale is asked for. Failures are tried again, "
            "then given up.",
            unit="short",
            queries=(
                Query(
                    promql.rate("sinal_readback_total", "gateway, outcome"),
                    "{{gateway}}: {{outcome}}",
                ),
            ),
            width=9,
            height=5,
            empty="No such notice came",
        ),
        Panel(
            kind="table",
            title="Which versions run?",
            why="More than one during an upgrade only.",
            unit="short",
            queries=(Query("count by (version, role) (sinal_build_info)"),),
            width=8,
            height=5,
            columns=("Processes",),
            units=("short",),
        ),
        Panel(
            kind="table",
            title="How old is the newest good backup?",
            why="One that was restored and compared; its size, and how long it took. Decades old: "
            "there is none.",
            unit="s",
            queries=(
                Query("time() - max(sinal_backup_last_success_timestamp_seconds)"),
                Query("max(sinal_backup_bytes)"),
                Query("max(sinal_backup_seconds)"),
            ),
            columns=("Age", "Size", "Took"),
            units=("s", "bytes", "s"),
            width=16,
            height=4,
            links=(runbook("SinalBackupOld"),),
        ),
    ),
)

BOARD = Board(
    uid="sinal-operator",
    title="Sinal / Operator",
    description="Declared objects, reconciliations, chores and certificates.",
    rows=(_OBJECTS, _CHORES),
)
