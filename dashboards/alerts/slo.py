"""The promises, as errors per request, and alerts when the budget of errors burns too fast.

Every promise is two series, `sinal:slo_total:rate5m` and `sinal:slo_bad:rate5m`; the rest follows
and is the same for all. Ratios over longer windows are sums of those, so that a quiet hour weighs
as little as it should.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.alerts.rule import Alert, Group, Record, Severity
from dashboards.promql import grown

LATE_S = "60.0"  # a bucket of sinal_event_latency_seconds
LEAST_EVENTS = 50  # in the long window: fewer say nothing
EVERY_S = 30  # between two recordings, each of which stands for so many seconds
_WINDOWS = ("30m", "1h", "2h", "6h", "1d", "3d", "30d")  # and 5m, which the rates are of


@dataclass(frozen=True)
class Promise:
    """One objective: so large a share of `total` is not `bad`, over 30 days.

    Rates a second, as PromQL.
    """

    slo: str
    objective: float
    total: str
    bad: str
    alert: str
    what: str  # of a person's view, when it is broken
    board: str = "sinal-overview"

    @property
    def allowed(self) -> float:
        """Share that may be bad."""
        return round(1 - self.objective, 6)


def _rate(series: str) -> str:
    return f"sum(rate({series}[5m]))"


_ASKED = 'source!~"none|suspended"'  # neither probes, nor what is refused because somebody said so
# of the other verdicts, Meta judged the events, or a person has to act
_FAILED = "retry|in_doubt|throttle|unknown"
_DELIVERED = _rate('sinal_event_latency_seconds_count{stage="delivered"}')
_IN_TIME = _rate(f'sinal_event_latency_seconds_bucket{{stage="delivered", le="{LATE_S}"}}')
_TAKEN = _rate('sinal_capi_events_total{outcome="delivered"}')
_GIVEN_UP = 'reason=~"too_old|exhausted|internal_error|in_doubt"'
_LOST = f"sum({grown('sinal_dead_letters_total', _GIVEN_UP, '5m')}) / 300"

PROMISES = (
    Promise(
        slo="ingest",
        objective=0.999,
        total=_rate(f"sinal_ingest_requests_total{{{_ASKED}}}"),
        bad=_rate(f'sinal_ingest_requests_total{{{_ASKED}, status=~"5.."}}'),
        alert="SinalIngestBudgetBurn",
        what="Senders are answered 5xx: what they don't send again is lost.",
    ),
    Promise(
        slo="dispatch",
        objective=0.99,
        total=_rate(f'sinal_capi_requests_total{{verdict=~"delivered|data|request|{_FAILED}"}}'),
        bad=_rate(f'sinal_capi_requests_total{{verdict=~"{_FAILED}"}}'),
        alert="SinalDispatchBudgetBurn",
        what="Requests to Meta fail: conversions wait in their lanes and are sent again.",
        board="sinal-delivery",
    ),
    Promise(
        slo="latency",
        objective=0.99,
        total=_DELIVERED,
        bad=f"{_DELIVERED} - {_IN_TIME}",
        alert="SinalLatencyBudgetBurn",
        what="Conversions take longer than a minute from the door to Meta.",
        board="sinal-queues",
    ),
    Promise(
        slo="loss",
        objective=0.9999,
        total=f"({_TAKEN} or vector(0)) + ({_LOST} or vector(0))",
        bad=_LOST,
        alert="SinalLossBudgetBurn",
        what="Events are given up that are not at fault themselves. They can be replayed.",
        board="sinal-delivery",
    ),
)


@dataclass(frozen=True)
class Burn:
    """So many times faster than the budget allows, over a long window and still over a short
    one.
    """

    factor: float
    long: str
    short: str
    severity: Severity
    lasting: str


BURNS = (
    Burn(14.4, "1h", "5m", "critical", "2m"),  # 2 % of the budget in an hour
    Burn(6, "6h", "30m", "critical", "15m"),  # 5 % in six hours
    Burn(3, "1d", "2h", "warning", "1h"),  # 10 % in a day
    Burn(1, "3d", "6h", "warning", "3h"),  # all of it in 30 days
)


def _records() -> list[Record]:
    made: list[Record] = []
    for promise in PROMISES:
        labels = (("slo", promise.slo),)
        made.append(Record("sinal:slo_total:rate5m", promise.total, labels))
        made.append(
            Record("sinal:slo_bad:rate5m", f"({promise.bad}) or 0 * ({promise.total})", labels)
        )
        made.append(Record("sinal:slo:allowed", f"vector({promise.allowed})", labels))
    made.append(
        Record(
            "sinal:slo_errors:ratio_rate5m", "sinal:slo_bad:rate5m / (sinal:slo_total:rate5m > 0)"
        )
    )
    for window in _WINDOWS:
        bad, total = (
            f"sum_over_time(sinal:slo_{part}:rate5m[{window}])" for part in ("bad", "total")
        )
        made.append(Record(f"sinal:slo_errors:ratio_rate{window}", f"{bad} / ({total} > 0)"))
    return made


def _alert(promise: Promise, burn: Burn) -> Alert:
    threshold = f"{burn.factor} * {promise.allowed}"
    which = f'{{slo="{promise.slo}"}}'
    long, short = (
        f"sinal:slo_errors:ratio_rate{window}{which} > {threshold}"
        for window in (burn.long, burn.short)
    )
    enough = (
        f"sum_over_time(sinal:slo_total:rate5m{which}[{burn.long}]) * {EVERY_S} >= {LEAST_EVENTS}"
    )
    return Alert(
        name=promise.alert,
        expr=f"{long}\nand {short}\nand {enough}",
        lasting=burn.lasting,
        severity=burn.severity,
        labels=(("slo", promise.slo), ("window", burn.long)),
        summary=f"{promise.what} The budget of 30 days burns {burn.factor:g} times too fast.",
        description=(
            f"{{{{ $value | humanizePercentage }}}} errors in {burn.long}, and still so in the "
            f"last {burn.short}; "
            f"{promise.allowed * 100:g} % are allowed over 30 days."
        ),
        board=promise.board,
    )


RECORDING = Group("sinal-slo-recording", _records(), interval=f"{EVERY_S}s")
ALERTS = Group("sinal-slo", [_alert(promise, burn) for promise in PROMISES for burn in BURNS])
