"""One tenant: what comes in, what becomes of it, what is missing."""

from __future__ import annotations

from dashboards import promql
from dashboards.board import GREEN, Board, Panel, Query, Row, Variable, board_link, runbook

_T = 'tenant="$tenant"'
_MINE = f"max by (role) (sinal_queue_oldest_seconds{{{_T}}})"
_DESTINATION = board_link("sinal-delivery", "This destination", destination="destination")

_NOW = Row(
    "Is anything of $tenant stuck?",
    (
        Panel(
            kind="stat",
            title="How long has the first event waited?",
            why="match: not joined with its click yet. dispatch: not sent to Meta yet. 0 where "
            "nothing waits.",
            unit="s",
            queries=(Query(_MINE, "{{role}}"),),
            width=6,
            height=5,
            steps=(GREEN, (60, "orange"), (300, "red")),
            empty="Nothing ever waited",
            links=(runbook("SinalBacklogOld"),),
        ),
        Panel(
            kind="stat",
            title="How many events wait?",
            why="Messages that are not done: waiting and being worked on.",
            unit="short",
            queries=(Query(f"max by (role) (sinal_queue_depth{{{_T}}})", "{{role}}"),),
            width=6,
            height=5,
            empty="Nothing ever waited",
        ),
        Panel(
            kind="table",
            title="Which destinations take nothing, and why?",
            why="credential, no_token: give the Destination a token that works. configuration: "
            "pixel, API version or "
            "linkage. Else Meta fails.",
            unit="short",
            queries=(
                Query(f"max by (destination, reason) (sinal_breaker_reason{{{_T}}})"),
                Query(
                    f"time() - max by (destination) "
                    f"(sinal_capi_last_success_timestamp_seconds{{{_T}}})"
                    f" and on (destination) sinal_breaker_reason{{{_T}}}"
                ),
            ),
            width=8,
            height=5,
            columns=("Stopped", "Since its last success"),
            units=("short", "s"),
            empty="All take events",
            values=(_DESTINATION,),
            links=(runbook("SinalTokenInvalid"),),
        ),
        Panel(
            kind="stat",
            title="Rows that don't add up?",
            why="accepted = delivered + withheld + dead + in flight. More than none is a fault of "
            "Sinal.",
            unit="short",
            queries=(Query(f"max(sinal_ledger_difference{{{_T}}})"),),
            width=4,
            height=5,
            steps=(GREEN, (1, "red")),
            links=(runbook("SinalLedgerDifference"),),
        ),
    ),
)

_IN = Row(
    "What comes in?",
    (
        Panel(
            kind="lines",
            title="Who sends, and how are they answered?",
            why=(
                "webhook: gateways; browser: the page script; server: the shop's own server. 401: "
                "signature or "
                "token; 403: "
                "a page that is none of the funnel's landing hosts; 429: more than the plan "
                "allows, or a full queue."
            ),
            unit="reqps",
            queries=(
                Query(
                    promql.rate("sinal_ingest_requests_total", "source, status", _T),
                    "{{source}} {{status}}",
                ),
            ),
            stacked=True,
            links=(runbook("SinalWebhooksRefused"), runbook("SinalTenantSilent")),
        ),
        Panel(
            kind="lines",
            title="How does that compare with yesterday and last week?",
            why="Accepted requests an hour. A shop that falls silent has usually lost its page "
            "script or its webhook.",
            unit="short",
            queries=(
                Query(
                    f'sum(increase(sinal_ingest_requests_total{{{_T}, status=~"2.."}}[1h]))', "now"
                ),
                Query(
                    f'sum(increase(sinal_ingest_requests_total{{{_T}, status=~"2.."}}[1h] offset '
                    f"1d))",
                    "a day ago",
                ),
                Query(
                    f'sum(increase(sinal_ingest_requests_total{{{_T}, status=~"2.."}}[1h] offset '
                    f"7d))",
                    "a week ago",
                ),
            ),
            links=(runbook("SinalTenantSilent"),),
        ),
        Panel(
            kind="lines",
            title="Which fields does nobody read?",
            why="Fields of tracking events that Sinal does not know: a typing error in the page, "
            "or an old script.",
            unit="short",
            queries=(
                Query(
                    f"sum(rate(sinal_ingest_unknown_fields_total{{{_T}}}[{promql.RATE}]))",
                    "fields a second",
                ),
            ),
            empty="Every field is known",
            height=6,
        ),
        Panel(
            kind="lines",
            title="Which fields could not be used?",
            why="Fields of tracking events that were left out: `warnings` in the answers name each "
            "and its remedy.",
            unit="short",
            queries=(
                Query(
                    f"sum(rate(sinal_ingest_field_warnings_total{{{_T}}}[{promql.RATE}]))",
                    "fields a second",
                ),
            ),
            empty="Every field could be used",
            height=6,
        ),
        Panel(
            kind="lines",
            title="How many visits are of programs?",
            why="Link previews, ad checkers, monitors, headless browsers: recorded, neither "
            "matched nor sent.",
            unit="short",
            queries=(
                Query(
                    f"sum(rate(sinal_ingest_crawlers_total{{{_T}}}[{promql.RATE}]))",
                    "events a second",
                ),
            ),
            empty="None",
            height=6,
        ),
        Panel(
            kind="lines",
            title="Whose bodies does quarantine not keep?",
            why="Deliveries that nobody understands, beyond the tenant's share of quarantine: only "
            "a digest is kept.",
            unit="short",
            queries=(
                Query(
                    f"sum(rate(sinal_quarantine_full_total{{{_T}}}[{promql.RATE}]))",
                    "deliveries a second",
                ),
            ),
            empty="Every body is kept",
            height=6,
        ),
        Panel(
            kind="lines",
            title="Who still uses a key of before?",
            why="Requests with what the mint key before made: once none comes, that key can be "
            "retired.",
            unit="short",
            queries=(
                Query(
                    f"sum by (what) (rate(sinal_ingest_earlier_keys_total{{{_T}}}[{promql.RATE}]))",
                    "{{what}} a second",
                ),
            ),
            empty="Nobody",
            height=6,
            links=(runbook("leaked-key"),),
        ),
    ),
)

_JOINED = Row(
    "How well is it joined?",
    (
        Panel(
            kind="lines",
            title="How many sales find their click?",
            why="match: sent with click data. review: between the thresholds. unmatched: no click "
            "fits well enough.",
            unit="short",
            queries=(Query(promql.rate("sinal_match_total", "decision", _T), "{{decision}}"),),
            stacked=True,
        ),
        Panel(
            kind="bars",
            title="By which rule?",
            why="Sales by the rule that decided, in the time shown.",
            unit="short",
            queries=(
                Query(
                    f"sum by (rule) ({promql.grown('sinal_match_total', _T, promql.RANGE)})",
                    "{{rule}}",
                ),
            ),
            decimals=0,
        ),
        Panel(
            kind="lines",
            title="Which signals do sales carry?",
            why="Share of the last day's conversions with each signal: with fewer, Meta finds "
            "fewer of the people.",
            unit="percentunit",
            queries=(
                Query(f"max by (signal) (sinal_signal_coverage_ratio{{{_T}}})", "{{signal}}"),
            ),
            links=(runbook("SinalSignalCoverageFalls"),),
        ),
    ),
)

_OUT = Row(
    "What goes out?",
    (
        Panel(
            kind="lines",
            title="What becomes of conversions, and where?",
            why="By destination and outcome of the attempt.",
            unit="short",
            queries=(
                Query(
                    promql.rate("sinal_capi_events_total", "destination, outcome", _T),
                    "{{destination}}: {{outcome}}",
                ),
            ),
            stacked=True,
            values=(
                board_link("sinal-delivery", "This destination", destination="labels.destination"),
            ),
        ),
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
            kind="lines",
            title="What was given up, and why?",
            why="Dead letters by reason. `sinal dead-letters list` names them; they can be "
            "replayed.",
            unit="short",
            queries=(Query(promql.rate("sinal_dead_letters_total", "reason", _T), "{{reason}}"),),
            empty="Nothing was given up",
            stacked=True,
            links=(runbook("SinalDeadLettersGrow"),),
        ),
    ),
)

BOARD = Board(
    uid="sinal-tenant",
    title="Sinal / Tenant",
    description="One tenant: what comes in, how well it is joined, what goes out, and what is "
    "stuck.",
    rows=(_NOW, _IN, _JOINED, _OUT),
    variables=(
        Variable(
            "tenant",
            "Tenant",
            'label_values(sinal_ingest_requests_total{tenant!=""}, tenant)',
            many=False,
        ),
    ),
    range="now-24h",
)
