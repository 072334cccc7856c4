"""The ledger's joint statements: what they take, as arrays that PostgreSQL reads at once.

A request is a matter of one destination; a statement is one for the requests of many. `places` says
of each row which of the requests it belongs to, counted from 1 as arrays do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from sinal_core.outbox.ledger import Answered, Ref, Request, Result
from sinal_hub.store.delivery_rows import Row

_MS = timedelta(milliseconds=1)
_ANSWER_LIMIT = 2_000
_FATES = ("outcomes", "statuses", "reasons", "details", "delays", "counted", "doubts")
_ANSWERS = (
    "sent",
    "verdicts",
    "http_statuses",
    "codes",
    "subcodes",
    "traces",
    "answers",
    "latencies",
)


class ClaimRequest(msgspec.Struct, frozen=True):
    """Rows of one destination that somebody wants to send."""

    tenant: str
    destination: str
    refs: Sequence[Ref]
    lease_s: float

    @property
    def key(self) -> Hashable:
        """A statement makes one request of a destination."""
        return self.tenant, self.destination

    def __len__(self) -> int:
        return len(self.refs)


class Settlement(msgspec.Struct, frozen=True):
    """What became of the rows of one request, or of rows that were never sent."""

    tenant: str
    results: Sequence[Result[Row]]
    request: Request | None
    answered: Answered

    @property
    def key(self) -> Hashable:
        """Any two of them go together."""
        return id(self)

    def __len__(self) -> int:
        return len(self.results)


def of_claim(wanted: Sequence[ClaimRequest]) -> dict[str, object]:
    """Parameters of `claim`; the keys of `wanted` differ."""
    # By id, so that concurrent claims lock rows in one order.
    placed = sorted((ref.id, place) for place, one in enumerate(wanted, 1) for ref in one.refs)
    moments = [ref.created_ms for one in wanted for ref in one.refs]
    return {
        "ids": numbers(id_ for id_, _ in placed),
        "places": numbers(place for _, place in placed),
        "tenants": [one.tenant for one in wanted],
        "destinations": [one.destination for one in wanted],
        "leases": [one.lease_s for one in wanted],
        "since": moment(min(moments)),
        "until": moment(max(moments)) + _MS,
    }


def of_settlement(settlements: Sequence[Settlement]) -> dict[str, object]:
    """Parameters of `settle`."""
    # By id for the same reason: settlements of several requests share this statement.
    lines = sorted(
        ((result, place) for place, one in enumerate(settlements, 1) for result in one.results),
        key=lambda line: line[0].row.id,
    )
    rows = [result.row for result, _ in lines]
    asked = [one.request for one in settlements if one.request is not None]
    return {
        **keys(rows),
        **span(rows),
        **_fates([result for result, _ in lines]),
        **_answers([one.answered for one in settlements]),
        "places": numbers(place for _, place in lines),
        "tenants": [one.tenant for one in settlements],
        "requests": [one.request.id if one.request else None for one in settlements],
        "asked_since": min((request.created_at for request in asked), default=None),
        "asked_until": max((request.created_at for request in asked), default=None),
    }


def moment(unix_ms: int) -> datetime:
    """Unix milliseconds as a time."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC) + timedelta(milliseconds=unix_ms % 1000)


def numbers(values: Iterable[int]) -> str:
    """An array as PostgreSQL reads it: a thousand numbers cost as much as one."""
    return "{" + ",".join(map(str, values)) + "}"


def keys(rows: Iterable[Row]) -> dict[str, str]:
    """Ids of claimed rows and the fencing tokens of their claims."""
    rows = list(rows)
    return {
        "ids": numbers(row.id for row in rows),
        "attempts": numbers(row.attempts for row in rows),
        "fences": numbers(row.fence for row in rows),
    }


def span(rows: Sequence[Row]) -> dict[str, datetime]:
    """The time within which the rows were made."""
    moments = [row.created_at for row in rows]
    return {"since": min(moments), "until": max(moments) + _MS}


def _fates(results: Sequence[Result[Row]]) -> dict[str, object]:
    """Each distinct fate once, and for every row the place of its own."""
    places: dict[tuple[object, ...], int] = {}
    of_row = [
        places.setdefault(
            (r.outcome, r.status, r.reason, r.detail, r.delay_s, r.counted, r.doubts),
            len(places) + 1,
        )
        for r in results
    ]
    columns: dict[str, object] = dict(
        zip(_FATES, map(list, zip(*places, strict=True)), strict=True)
    )
    details: list[str | None] = columns["details"]  # type: ignore[assignment]  # the fourth of each fate
    columns["details"] = [detail[:_ANSWER_LIMIT] if detail else None for detail in details]
    return {"fates": numbers(of_row), **columns}


def _answers(answered: Sequence[Answered]) -> dict[str, object]:
    lines = [
        (
            a.sent,
            a.verdict,
            a.http_status,
            a.code,
            a.subcode,
            a.trace_id,
            _text(a.answer),
            a.latency_ms,
        )
        for a in answered
    ]
    return dict(zip(_ANSWERS, map(list, zip(*lines, strict=True)), strict=True))


def _text(answer: str | None) -> str | None:
    """PostgreSQL's text takes no NUL."""
    return answer and answer.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_ANSWER_LIMIT]
