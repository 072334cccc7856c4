"""Destinations: which take events, what Meta answers, what was given up."""

from __future__ import annotations

from dashboards import promql
from dashboards.board import Board, Panel, Query, Row, Variable, board_link, runbook

_D = 'tenant=~"$tenant", destination=~"$destination"'
_T = 'tenant=~"$tenant"'
_STATES = {0: ("closed", "green"), 1: ("half open", "orange"), 2: ("open", "red")}
_TENANT = board_link("sinal-tenant", "This tenant", tenant="tenant")

_STOPPED = f"topk(50, max by (tenant, destination, reason) (sinal_breaker_reason{{{_D}}}))"
_DOUBTED = promql.rate(
    "sinal_capi_events_total", "tenant, destination", f'{_D}, outcome="in_doubt"'
)
_STRANDED = promql.grown("sinal_stranded_total", _D, promql.RANGE)

_NOW = Row(
    "Which destinations take nothing, since when, and why?",
    (
        Panel(
            kind="table",
            title="Which take nothing, and why?",
            why=(
                "credential, no_token: the token. configuration: pixel, API version or linkage. "
                "retry, in_doubt, "
                "unknown: "
                "Meta fails or does not answer. Their events wait; other destinations' do not."
            ),
            unit="short",
            queries=(
                Query(_STOPPED),
                Query(
                    f"time() - max by (tenant, destination) "
                    f"(sinal_capi_last_success_timestamp_seconds{{{_D}}})"
                    f" and on (tenant, destination) {_STOPPED}"
                ),
            ),
            columns=("Stopped", "Since its last success"),
            units=("short", "s"),
            empty="Every destination takes events",
            values=(_TENANT,),
            links=(
                runbook("SinalTokenInvalid"),
                runbook("SinalBreakerOpen"),
                runbook("SinalDestinationMisconfigured"),
            ),
        ),
        Panel(
            kind="timeline",
            title="When did each stop?",
            why="State of the breakers that were not closed at some moment of the time shown; at "
            "most thirty.",
            unit="short",
            queries=(
                Query(
                    f"max by (tenant, destination) (sinal_breaker_state{{{_D}}}) and on (tenant, "
                    f"destination) topk(30, "
                    f"max by (tenant, destination) "
                    f"(max_over_time(sinal_breaker_state{{{_D}}}[{promql.RANGE}])) > 0)",
                    "{{tenant}} / {{destination}}",
                ),
            ),
            words=_STATES,
            empty="None did",
        ),
    ),
)

_ANSWERS = Row(
    "What does Meta answer?",
    (
        Panel(
            kind="lines",
            title="What became of events?",
            why=(
                "delivered: Meta took it. retry, throttled, auth: it will be sent again. in_doubt: "
                "it may have "
                "arrived. "
                "refused: never again. withheld: not to be sent."
            ),
            unit="short",
            queries=(Query(promql.rate("sinal_capi_events_total", "outcome", _D), "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            kind="lines",
            title="What do the answers mean?",
            why=(
                "Requests by what the answer meant. data, request: an event breaks a rule, and the "
                "others of its "
                "request "
                "are sent without it. throttle: Meta asks for a pause."
            ),
            unit="reqps",
            queries=(
                Query(promql.rate("sinal_capi_requests_total", "verdict", _D), "{{verdict}}"),
            ),
            stacked=True,
            links=(runbook("SinalDispatchBudgetBurn"),),
        ),
        Panel(
            kind="lines",
            title="Which destinations fail most?",
            why=(
                "Share of the requests that Meta did not judge: it failed, did not answer, or "
                "asked for a pause. "
                "The ten "
                "worst."
            ),
            unit="percentunit",
            queries=(
                Query(
                    "topk(10, "
                    + promql.rate(
                        "sinal_capi_requests_total",
                        "tenant, destination",
                        f'{_D}, verdict=~"retry|in_doubt|throttle|unknown"',
                    )
                    + " / "
                    + promql.rate("sinal_capi_requests_total", "tenant, destination", _D)
                    + " > 0)",
                    "{{tenant}} / {{destination}}",
                ),
            ),
            empty="None fails",
        ),
        Panel(
            kind="lines",
            title="How long does Meta take?",
            why="One request to the Graph API.",
            unit="s",
            queries=tuple(
                Query(
                    promql.quantile(
                        share, "sinal_capi_request_seconds", "", 'destination=~"$destination"'
                    ),
                    name,
                )
                for share, name in ((0.5, "half of them"), (0.99, "99 %"))
            ),
        ),
    ),
)

_LOST = Row(
    "What is late, what was given up?",
    (
        Panel(
            kind="lines",
            title="How long until it is delivered?",
            why="From the door to Meta's answer, of delivered events.",
            unit="s",
            queries=tuple(
                Query(
                    promql.quantile(
                        share, "sinal_event_latency_seconds", "", f'{_T}, stage="delivered"'
                    ),
                    name,
                )
                for share, name in ((0.5, "half of them"), (0.95, "95 %"), (0.99, "99 %"))
            ),
            links=(runbook("SinalLatencyBudgetBurn"),),
        ),
        Panel(
            kind="bars",
            title="What was given up, and why?",
            why="Dead letters by reason, in the time shown. They can be replayed.",
            unit="short",
            queries=(
                Query(
                    "sum by (reason) "
                    f"({promql.grown('sinal_dead_letters_total', _T, promql.RANGE)})",
                    "{{reason}}",
                ),
            ),
            empty="Nothing was given up",
            decimals=0,
            links=(runbook("SinalDeadLettersGrow"),),
        ),
        Panel(
            kind="table",
            title="Whose?",
            why="The twenty tenants with most dead letters in the time shown. A row leads to its "
            "tenant.",
            unit="short",
            queries=(
                Query(
                    "topk(20, sum by (tenant, reason) "
                    f"({promql.grown('sinal_dead_letters_total', _T, promql.RANGE)}) > 0)"
                ),
            ),
            columns=("Given up",),
            units=("short",),
            empty="Nobody's",
            values=(_TENANT,),
        ),
        Panel(
            kind="lines",
            title="How many may Meta have twice?",
            why="Events in doubt: sent, and no answer came. They are sent again with the same id, "
            "or parked, as the "
            "Destination says.",
            unit="short",
            queries=(
                Query(
                    f"topk(10, {_DOUBTED} > 0)",
                    "{{tenant}} / {{destination}}",
                ),
            ),
            empty="None",
        ),
        Panel(
            kind="bars",
            title="Whose messages had to be sent again because the broker lost them?",
            why=(
                "Deliveries whose message was lost are published again from PostgreSQL. Many at "
                "once: NATS lost "
                "its data."
            ),
            unit="short",
            queries=(
                Query(
                    f"topk(15, sum by (tenant, destination) ({_STRANDED}) > 0)",
                    "{{tenant}} / {{destination}}",
                ),
            ),
            empty="Nobody's",
            decimals=0,
            links=(runbook("nats-restart"),),
        ),
    ),
)

BOARD = Board(
    uid="sinal-delivery",
    title="Sinal / Delivery",
    description="Destinations: which take events, what Meta answers, what is late, what was given "
    "up.",
    rows=(_NOW, _ANSWERS, _LOST),
    variables=(
        Variable("tenant", "Tenant", 'label_values(sinal_breaker_state{tenant!=""}, tenant)'),
        Variable(
            "destination",
            "Destination",
            'label_values(sinal_breaker_state{tenant=~"$tenant"}, destination)',
        ),
    ),
)
