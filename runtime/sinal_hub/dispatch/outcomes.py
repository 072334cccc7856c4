"""From the verdict on a request to what becomes of each row: one place that decides retry, dead
letter and delay.

Invariant: nothing is retried for ever. A refused event dies at once, one refused for an unknown
reason after `MOST_REFUSALS`, everything else when it is too old for Meta; a pause of the
destination counts against no event.
"""

from __future__ import annotations

from typing import Literal

from sinal_crds.plan import OnDoubt
from sinal_hub.meta.errors import GraphVerdict, Kind
from sinal_hub.store.ledger import Outcome, Result, Row

MOST_REFUSALS = 8  # of one event alone, for a reason this release does not know

OUTCOMES: dict[Kind, Outcome] = {
    "delivered": "delivered",
    "retry": "retry",
    "throttle": "throttled",
    "credential": "auth",
    "configuration": "auth",
    "data": "refused",
    "request": "refused",
    "unknown": "refused",
    "in_doubt": "in_doubt",
}
_PAUSES: frozenset[Kind] = frozenset({"throttle", "credential", "configuration"})
_REFUSES: frozenset[Kind] = frozenset({"data", "request"})


def split(row: Row) -> Result:
    """The row stays claimed: it is sent again in a smaller request."""
    return Result(row=row, outcome="retry")


def stopped(
    row: Row, status: Literal["withheld", "dead"], reason: str, detail: str | None = None
) -> Result:
    """The row ends before any request."""
    return Result(row=row, status=status, reason=reason, detail=detail, doubts=int(row.doubted))


def put_back(row: Row, delay_s: float) -> Result:
    """The row was part of no last request and waits for the next round."""
    return Result(
        row=row, status="pending", delay_s=delay_s, counted=False, doubts=int(row.doubted)
    )


def final(
    row: Row, verdict: GraphVerdict, *, on_doubt: OnDoubt, refusals: int, delay_s: float
) -> Result:
    """What a request's verdict makes of one of its rows.

    `refusals` counts earlier ones of this row alone.
    """
    outcome = OUTCOMES[verdict.kind]
    doubts = int(row.doubted) + (verdict.kind == "in_doubt")
    if verdict.kind == "delivered":
        return Result(row=row, outcome=outcome, status="delivered", doubts=doubts)
    reason = _end(verdict.kind, on_doubt, refusals)
    if reason is not None:
        return Result(
            row=row,
            outcome=outcome,
            status="dead",
            reason=reason,
            detail=verdict.answer,
            doubts=doubts,
        )
    counted = verdict.kind not in _PAUSES
    return Result(
        row=row, outcome=outcome, status="pending", delay_s=delay_s, counted=counted, doubts=doubts
    )


def _end(kind: Kind, on_doubt: OnDoubt, refusals: int) -> str | None:
    if kind in _REFUSES:
        return "rejected"
    if kind == "in_doubt" and on_doubt == "Park":
        return "in_doubt"
    if kind == "unknown" and refusals + 1 >= MOST_REFUSALS:
        return "exhausted"
    return None
