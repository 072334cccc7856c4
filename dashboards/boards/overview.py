"""Is anyone's data stuck? Whose, since when and why? And are the promises kept?"""

from __future__ import annotations

from dashboards import promql
from dashboards.board import GREEN, Board, Panel, Query, Row, Step, board_link, runbook

_RED_FROM_ONE: tuple[Step, ...] = (GREEN, (1, "red"))
_TENANT = board_link("sinal-tenant", "This tenant", tenant="tenant")
_DESTINATION = board_link(
    "sinal-delivery", "This destination", tenant="tenant", destination="destination"
)


def _stat(title: str, why: str, expr: str, **more: object) -> Panel:
    options = {"unit": "short", "steps": _RED_FROM_ONE, "width": 4, "height": 4, **more}
    return Panel(kind="stat", title=title, why=why, queries=(Query(expr),), **options)  # type: ignore[arg-type]


_SENDERS = promql.rate("sinal_ingest_requests_total", "tenant", 'tenant!=""', promql.RANGE)
_FIRING = (
    'topk(50, max by (alertname, severity, tenant, destination) (ALERTS{alertname=~"Sinal.*", '
    'alertstate="firing"}))'
)


_NOW = Row(
    "Is anyone's data stuck?",
    (
        _stat(
            "Tenants whose events wait over 5 min?",
            "Tenants with a message that has waited longer than five minutes, to be matched or to "
            "be sent.",
            promql.or_zero(f"count(max by (tenant) ({promql.OLDEST}) > 300)"),
            links=(runbook("SinalBacklogOld"),),
        ),
        _stat(
            "Destinations that take nothing?",
            "Destinations whose breaker is not closed: their events wait, nobody else's do.",
            promql.or_zero("count(max by (tenant, destination) (sinal_breaker_state) > 0)"),
            links=(runbook("SinalBreakerOpen"), runbook("SinalTokenInvalid")),
        ),
        _stat(
            "Given up in this time?",
            "Events that became dead letters in the time shown. They can be replayed.",
            promql.or_zero(f"sum({promql.grown('sinal_dead_letters_total', '', promql.RANGE)})"),
            steps=(GREEN, (1, "orange")),
            decimals=0,
            links=(runbook("SinalDeadLettersGrow"),),
        ),
        _stat(
            "Waiting on ingest's disks?",
            "Accepted events that NATS has not got yet. They are safe as long as the disk is.",
            "sum(sinal_spool_events)",
            steps=(GREEN, (1, "orange")),
            links=(runbook("SinalSpoolInUse"),),
        ),
        _stat(
            "Rows that don't add up?",
            "accepted = delivered + withheld + dead + in flight, checked every 15 minutes. More "
            "than none is a "
            "fault of "
            "Sinal.",
            "sum(max by (tenant) (sinal_ledger_difference))",
            links=(runbook("SinalLedgerDifference"),),
        ),
        _stat(
            "Since the last heartbeat?",
            "A test event goes through a tenant's lane into PostgreSQL every minute.",
            promql.HEARTBEAT,
            unit="s",
            steps=(GREEN, (180, "orange"), (300, "red")),
            links=(runbook("SinalHeartbeatMissing"),),
        ),
    ),
)

_WHOSE = Row(
    "Whose, since when, and why?",
    (
        Panel(
            kind="table",
            title="Whose events wait, for how long, and for what?",
            why=(
                "The twenty tenants whose first message has waited longest. Role match: not joined "
                "yet; "
                "dispatch: not sent "
                "yet. A row leads to its tenant."
            ),
            unit="short",
            queries=(
                Query(f"topk(20, {promql.OLDEST} > 0)"),
                Query(f"{promql.DEPTH} and on (tenant, role) topk(20, {promql.OLDEST} > 0)"),
            ),
            columns=("Waiting for", "Messages"),
            units=("s", "short"),
            empty="Nobody's events wait",
            values=(_TENANT,),
        ),
        Panel(
            kind="table",
            title="Which destinations take nothing, and why?",
            why="credential: Meta refuses the token. configuration: pixel, version or linkage is "
            "wrong. no_token: the "
            "Secret has none. retry, in_doubt, unknown: Meta fails or does not answer. A row leads "
            "to its destination.",
            unit="short",
            queries=(
                Query(f"topk(20, {promql.STOPPED})"),
                Query(
                    "time() - max by (tenant, destination) "
                    "(sinal_capi_last_success_timestamp_seconds)"
                    f" and on (tenant, destination) topk(20, {promql.STOPPED})"
                ),
            ),
            columns=("Stopped", "Since its last success"),
            units=("short", "s"),
            empty="Every destination takes events",
            values=(_DESTINATION,),
        ),
        Panel(
            kind="table",
            title="Which alerts say so?",
            why="Alerts of Sinal that fire now.",
            unit="short",
            queries=(Query(_FIRING),),
            columns=("Firing",),
            units=("short",),
            empty="No alert fires",
            height=6,
        ),
        Panel(
            kind="lines",
            title="What was given up, and why?",
            why=(
                "Dead letters by reason. rejected: Meta refused the event for good; too_old: it "
                "waited over "
                "seven days; "
                "internal_error: a fault of Sinal."
            ),
            unit="short",
            queries=(Query(promql.rate("sinal_dead_letters_total", "reason"), "{{reason}}"),),
            empty="Nothing was given up",
            height=6,
            stacked=True,
            links=(runbook("SinalDeadLettersGrow"),),
        ),
    ),
)

_PROMISES = Row(
    "Are the promises kept?",
    (
        Panel(
            kind="stat",
            title="How much of the error budget of 30 days is left?",
            why=(
                "100 %: no error. 0 %: as many as the objective allows. Below: the promise is "
                "broken. What "
                "counts as an "
                "error is on the page of SLOs."
            ),
            unit="percentunit",
            queries=(Query("1 - sinal:slo_errors:ratio_rate30d / sinal:slo:allowed", "{{slo}}"),),
            height=5,
            steps=((0, "red"), (0.0, "red"), (0.25, "orange"), (0.5, "green")),
            decimals=0,
            links=(runbook("SinalIngestBudgetBurn"),),
        ),
        Panel(
            kind="lines",
            title="How fast is it used up?",
            why="1 uses up the budget of 30 days in exactly 30 days. 14.4 and 6 are where somebody "
            "is woken.",
            unit="short",
            queries=(Query("sinal:slo_errors:ratio_rate1h / sinal:slo:allowed", "{{slo}}"),),
            height=5,
            steps=(GREEN, (6, "orange"), (14.4, "red")),
        ),
        Panel(
            kind="lines",
            title="How are senders answered?",
            why="Requests at the doors by answer. 202: stored. 4xx: refused, and the sender is "
            "told why. 5xx: neither "
            "broker nor spool took it.",
            unit="reqps",
            queries=(
                Query(
                    promql.rate("sinal_ingest_requests_total", "status", 'source!="none"'),
                    "{{status}}",
                ),
            ),
            stacked=True,
            links=(runbook("SinalIngestBudgetBurn"),),
        ),
        Panel(
            kind="lines",
            title="How long until an event is matched, and delivered?",
            why="From the door to the stage, of events that got there. What waits is not in it: "
            "see above.",
            unit="s",
            queries=(
                Query(
                    promql.quantile(0.5, "sinal_event_latency_seconds", "stage"),
                    "{{stage}}, half of them",
                ),
                Query(
                    promql.quantile(0.99, "sinal_event_latency_seconds", "stage"), "{{stage}}, 99 %"
                ),
            ),
            links=(runbook("SinalLatencyBudgetBurn"),),
        ),
        Panel(
            kind="lines",
            title="How long does a sender wait for its answer?",
            why="Time to the broker's word, or the disk's, of accepted requests.",
            unit="s",
            queries=(
                Query(promql.quantile(0.5, "sinal_ingest_seconds"), "half of them"),
                Query(promql.quantile(0.99, "sinal_ingest_seconds"), "99 %"),
            ),
        ),
        Panel(
            kind="bars",
            title="Who sends most?",
            why="Requests of the fifteen busiest tenants, on average over the time shown.",
            unit="reqps",
            queries=(Query(f"topk(15, {_SENDERS})", "{{tenant}}"),),
            values=(board_link("sinal-tenant", "This tenant", tenant="labels.tenant"),),
        ),
        Panel(
            kind="lines",
            title="What becomes of conversions?",
            why=(
                "Events by what became of the attempt. withheld: consent, policy or a test. "
                "refused: the event "
                "breaks a rule "
                "of Meta's. in_doubt: it may have arrived."
            ),
            unit="short",
            queries=(Query(promql.rate("sinal_capi_events_total", "outcome"), "{{outcome}}"),),
            stacked=True,
        ),
    ),
)

BOARD = Board(
    uid="sinal-overview",
    title="Sinal / Overview",
    description="Is anyone's data stuck? Whose, since when and why? Are the promises kept?",
    rows=(_NOW, _WHOSE, _PROMISES),
)
