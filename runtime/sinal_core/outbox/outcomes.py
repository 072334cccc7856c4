"""From the verdict on a request to what becomes of each row: one place that decides retry, dead
letter and delay.

Invariant: nothing is retried for ever. A refused entry dies at once, one refused for an unknown
reason after `most_refusals`, everything else after `most_tries` or when it is too old; a pause of the
destination counts against no entry.
"""

from __future__ import annotations

from typing import Literal

from sinal_core.outbox.answers import Kind, Verdict
from sinal_core.outbox.ledger import EXHAUSTED, IN_DOUBT, REJECTED, E, Outcome, Result
from sinal_core.outbox.terms import Terms

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


def split(row: E) -> Result[E]:
    """The row stays claimed: it is sent again in a smaller request."""
    return Result(row=row, outcome="retry")


def stopped(
    row: E, status: Literal["withheld", "dead"], reason: str, detail: str | None = None
) -> Result[E]:
    """The row ends before any request."""
    return Result(row=row, status=status, reason=reason, detail=detail, doubts=int(row.doubted))


def put_back(row: E, delay_s: float) -> Result[E]:
    """The row was part of no last request and waits for the next round."""
    return Result(
        row=row, status="pending", delay_s=delay_s, counted=False, doubts=int(row.doubted)
    )


def final(row: E, verdict: Verdict, *, terms: Terms, refusals: int, delay_s: float) -> Result[E]:
    """What a request's verdict makes of one of its rows.

    `refusals` counts earlier ones of this row alone.
    """
    outcome = OUTCOMES[verdict.kind]
    doubts = int(row.doubted) + (verdict.kind == "in_doubt")
    if verdict.kind == "delivered":
        return Result(row=row, outcome=outcome, status="delivered", doubts=doubts)
    reason = _end(verdict.kind, terms, refusals, row.attempts)
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


def _end(kind: Kind, terms: Terms, refusals: int, attempts: int) -> str | None:
    if kind in _REFUSES:
        return REJECTED
    if kind == "in_doubt" and terms.on_doubt == "Park":
        return IN_DOUBT
    if kind == "unknown" and refusals + 1 >= terms.most_refusals:
        return EXHAUSTED
    if kind not in _PAUSES and terms.most_tries is not None and attempts >= terms.most_tries:
        return EXHAUSTED
    return None
