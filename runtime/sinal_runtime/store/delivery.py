"""The ledger of delivery: claim rows of the outbox, open and close attempts, settle.

Set-based: a claim is one statement and a settlement is one, for up to 1,000 events. Invariant: an attempt is committed
before its request leaves, and a row moves only for the worker that still holds its claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from sinal_runtime.store import queries
from sinal_runtime.store.database import Database
from sinal_runtime.store.errors import StoreUnavailable

_SQL = queries.load("delivery")
_MS = timedelta(milliseconds=1)
_ANSWER_LIMIT = 2_000
ERASED = "{}"  # payload of a row whose person was erased: it is never sent
# Batches are joined by hashing: a nested loop over a thousand rows of each side costs more than everything else here.
SESSION = {"enable_nestloop": "off", "enable_seqscan": "off"}
SETTLE_WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # an answer that is not written down becomes a doubt

Outcome = Literal["delivered", "retry", "throttled", "refused", "auth", "in_doubt"]
Status = Literal["pending", "delivered", "withheld", "dead"]


class LeaseLost(Exception):
    """Another worker took over some of the rows; this one must not send them."""


class Ref(msgspec.Struct, frozen=True):
    """A row of the outbox as its message names it."""

    id: int
    created_ms: int  # Unix ms


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row; `attempts` is the fencing token of the claim."""

    ref: Ref
    id: int
    created_at: datetime
    attempts: int
    source_event: str
    funnel: str
    payload_json: str
    consent_ads: bool | None
    received_at: datetime
    doubted: bool  # a lost worker may have sent it


class Request(msgspec.Struct, frozen=True):
    """A request that is written down and may leave."""

    id: int
    created_at: datetime


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking for rows."""

    rows: list[Row]
    request: Request | None  # None when nothing was claimed
    waiting: dict[Ref, float]  # not due, or held by another worker: seconds until it may be asked for again
    settled: list[Ref]  # nothing is left to do


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one row.

    `outcome` None: it was not part of the request. `status` None: it stays claimed, another request follows.
    """

    row: Row
    outcome: Outcome | None = None
    status: Status | None = None
    reason: str | None = None
    detail: str | None = None
    delay_s: float = 0.0
    counted: bool = True  # False: the try said nothing about the event
    doubts: int = 0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request, as the ledger keeps it."""

    sent: int
    verdict: str | None = None  # what it meant
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    fbtrace_id: str | None = None
    answer: str | None = None
    latency_ms: int | None = None


class DeliveryStore:
    """Outbox and ledger; raises StoreUnavailable, StoreRejected."""

    def __init__(self, database: Database, *, settle_waits_s: Sequence[float] = SETTLE_WAITS_S) -> None:
        self._database = database
        self._settle_waits_s = settle_waits_s

    async def claim(self, tenant: str, destination: str, refs: Sequence[Ref], *, lease_s: float) -> Claim:
        """Take the rows that are due and open their attempts; 1 to 1,000 refs of one destination."""
        names = {"tenant": tenant, "destination": destination}
        moments = [ref.created_ms for ref in refs]
        span = {"since": _moment(min(moments)), "until": _moment(max(moments)) + _MS}
        by_id = {ref.id: ref for ref in refs}
        found = await self._run("claim", **names, **span, ids=_numbers(sorted(by_id)), lease_s=lease_s)
        rows = [_row(by_id[line["id"]], line) for line in found]
        request = Request(found[0]["request_id"], found[0]["request_at"]) if found else None
        others = by_id.keys() - {row.id for row in rows}
        waiting: dict[Ref, float] = {}
        if others:
            left = await self._run("unclaimed", **names, **span, ids=_numbers(sorted(others)))
            waiting = {by_id[line["id"]]: line["due_in_s"] for line in left}
        settled = [by_id[id_] for id_ in sorted(others) if by_id[id_] not in waiting]
        return Claim(rows=rows, request=request, waiting=waiting, settled=settled)

    async def reopen(
        self, tenant: str, destination: str, rows: Sequence[Row], unresolved: Sequence[Row], *, lease_s: float
    ) -> Request:
        """Write down a further request for `rows` and prolong the leases of all `unresolved`; raises LeaseLost."""
        found = await self._run(
            "reopen",
            tenant=tenant,
            destination=destination,
            lease_s=lease_s,
            **_keys(rows),
            **{f"all_{name}": values for name, values in _keys(unresolved).items()},
            **_span(unresolved),
        )
        if not found:
            raise LeaseLost(f"{destination} of {tenant}: a lease of {len(unresolved)} rows is gone")
        return Request(found[0]["request_id"], found[0]["request_at"])

    async def settle(
        self, tenant: str, results: Sequence[Result], *, request: Request | None, answered: Answered | None = None
    ) -> set[int]:
        """Close attempts, move rows, write dead letters; returns the ids that moved.

        Tried again for some seconds when PostgreSQL is away: an answer of Meta that is not written down is a doubt.
        """
        for wait_s in (*self._settle_waits_s, None):
            try:
                return await self._settle(tenant, results, request, answered or Answered(sent=0))
            except StoreUnavailable:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("the last round returns or raises")

    async def forget(self, request: Request) -> None:
        """Take a request back that never left; its attempts must be settled first."""
        await self._run("forget_request", request_id=request.id, request_at=request.created_at)

    async def refusals(self, rows: Sequence[Row]) -> dict[int, int]:
        """How often Meta refused each row alone, by id; rows never refused are absent."""
        found = await self._run("refusals", ids=_keys(rows)["ids"])
        return {row["id"]: row["refusals"] for row in found}

    async def bury(self, tenant: str, destination: str, *, body: bytes, reason: str, detail: str, tries: int) -> None:
        """Keep a message that names no row as a dead letter."""
        await self._run(
            "bury",
            tenant=tenant,
            destination=destination,
            reason=reason,
            detail=detail,
            attempts=tries,
            body=body.decode(errors="replace").replace("\0", "�"),  # PostgreSQL takes no NUL in text
        )

    async def expire(self, *, most: int = 1_000) -> dict[str, int]:
        """Give up rows that waited for more than seven days; returns how many by tenant."""
        found = await self._run("expire", most=most)
        return {row["tenant_id"]: row["events"] for row in found}

    async def _settle(
        self, tenant: str, results: Sequence[Result], request: Request | None, answered: Answered
    ) -> set[int]:
        results = sorted(results, key=lambda result: result.row.id)
        found = await self._run(
            "settle",
            tenant=tenant,
            request_id=request.id if request else None,
            request_at=request.created_at if request else None,
            **_keys([result.row for result in results]),
            **_fates(results),
            **_answer(answered),
            **_span([result.row for result in results]),
        )
        return {row["id"] for row in found}

    async def _run(self, statement: str, **parameters: object) -> list[dict[str, Any]]:
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_SQL[statement], parameters)
            return await cursor.fetchall() if cursor.description else []


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms // 1000, UTC) + timedelta(milliseconds=unix_ms % 1000)


def _numbers(values: Iterable[int]) -> str:
    """An array as PostgreSQL reads it: a thousand numbers cost as much as one."""
    return "{" + ",".join(map(str, values)) + "}"


def _keys(rows: Iterable[Row]) -> dict[str, str]:
    rows = list(rows)
    return {"ids": _numbers(row.id for row in rows), "attempts": _numbers(row.attempts for row in rows)}


def _span(rows: Sequence[Row]) -> dict[str, datetime]:
    moments = [row.created_at for row in rows]
    return {"since": min(moments), "until": max(moments) + _MS}


def _fates(results: Sequence[Result]) -> dict[str, object]:
    """Each distinct fate once, and for every row the place of its own, counted from 1 as arrays do."""
    places: dict[tuple[object, ...], int] = {}
    of_row = [
        places.setdefault((r.outcome, r.status, r.reason, r.detail, r.delay_s, r.counted, r.doubts), len(places) + 1)
        for r in results
    ]
    names = ("outcomes", "statuses", "reasons", "details", "delays", "counted", "doubts")
    columns: dict[str, object] = dict(zip(names, map(list, zip(*places, strict=True)), strict=True))
    details: list[str | None] = columns["details"]  # type: ignore[assignment]  # the fourth of each fate
    columns["details"] = [detail[:_ANSWER_LIMIT] if detail else None for detail in details]
    return {"fates": _numbers(of_row), **columns}


def _answer(answered: Answered) -> dict[str, object]:
    columns: dict[str, object] = msgspec.structs.asdict(answered)
    if answered.answer is not None:
        columns["answer"] = answered.answer.replace("\0", "�")
    return columns


def _row(ref: Ref, line: dict[str, Any]) -> Row:
    columns = ("id", "created_at", "attempts", "source_event", "funnel", "payload_json", "consent_ads", "received_at")
    return Row(ref=ref, doubted=line["doubted"], **{name: line[name] for name in columns})
