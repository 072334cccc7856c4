"""The ledger in PostgreSQL that any product can use: its tables, and every statement on them.

A product has tables of its own, named after it: `schema` is what its migration creates them with.
Set-based: a claim is one statement and a settlement is one, whatever the batch. Invariants are those
of `ledger.Ledger`; besides, an entry that is added twice under one key is one entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib import resources
from typing import Any, cast

import msgspec

from sinal_core.outbox.ledger import (
    TOO_OLD,
    Answered,
    Claim,
    ClaimLost,
    Ref,
    Request,
    Result,
    Status,
)
from sinal_core.outbox.settling import WAITS_S, written
from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database

_PACKAGE = "sinal_core.outbox"
_TABLE = re.compile(rb"\boutbox_(?=(?:entries|requests|attempts|letters)(?:_[a-z]+)?\b)")
_PRODUCT = re.compile(r"[a-z][a-z0-9_]{0,30}")
_TEXT_LIMIT = 2_000  # characters of an answer, and of a letter's detail


def schema(product: str) -> str:
    """The statements that create a product's tables, with row-level security by tenant."""
    text = resources.files(_PACKAGE).joinpath("sql", "schema.sql").read_bytes()
    return _named(text, product).decode()


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to send.

    `key` names it within its destination for ever; `payload` is what the product's `Destination`
    makes a request of; after `expires_at` it is given up.
    """

    tenant: str
    destination: str
    key: str
    payload: str
    expires_at: datetime | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An entry whose message has to be published."""

    id: int
    created_at: datetime
    tenant: str
    destination: str
    generation: int
    publications: int

    @property
    def ref(self) -> Ref:
        """As its message names it."""
        return _ref(self.id, self.created_at)


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed entry; `fence` is the token of the claim."""

    ref: Ref
    id: int
    created_at: datetime
    key: str
    payload: str
    expires_at: datetime | None
    fence: int
    attempts: int
    in_doubt: int  # earlier tries of which nobody knows whether they arrived
    generation: int  # how often it was replayed
    doubted: bool


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that came to an end, as it stood when it was looked at."""

    id: int
    status: Status
    generation: int
    key: str
    destination: str
    reason: str | None
    settled_at: datetime


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An open dead letter; `entry` is None where a message named none, or the entry is purged."""

    id: int
    created_at: datetime
    destination: str
    reason: str
    detail: str | None
    attempts: int
    body: str
    entry: int | None
    status: Status | None  # of the entry
    generation: int | None


class PostgresLedger:
    """Outbox and ledger of one product; raises StoreUnavailable, StoreRejected."""

    def __init__(
        self, database: Database, product: str, *, settle_waits_s: Sequence[float] = WAITS_S
    ) -> None:
        self._database, self._settle_waits_s = database, settle_waits_s
        self._sql = {
            name: _named(text, product) for name, text in queries.load(_PACKAGE, "ledger").items()
        }

    async def add(self, connection: Connection, entries: Sequence[NewEntry]) -> list[Pending]:
        """Write entries in the caller's transaction; returns those that are new, to be published
        after its commit.
        """
        if not entries:
            return []
        found = await connection.execute(
            self._sql["add"],
            {
                "tenants": [entry.tenant for entry in entries],
                "destinations": [entry.destination for entry in entries],
                "keys": [entry.key for entry in entries],
                "payloads": [entry.payload for entry in entries],
                "expiries": [entry.expires_at for entry in entries],
            },
        )
        return [Pending(**line) for line in await found.fetchall()]

    async def unpublished(
        self, *, quiet_s: float, lost_s: float, most: int = 1_000
    ) -> list[Pending]:
        """Entries that no message stands for: never published `quiet_s` after they were made, or
        due for more than `lost_s`.
        """
        found = await self._run("unpublished", quiet_s=quiet_s, lost_s=lost_s, most=most)
        return [Pending(**line) for line in found]

    async def mark_published(self, pending: Sequence[Pending]) -> None:
        """The broker has the messages of these entries."""
        if pending:
            await self._run(
                "mark_published",
                ids=[one.id for one in pending],
                generations=[one.generation for one in pending],
            )

    async def claim(
        self, tenant: str, destination: str, refs: Sequence[Ref], *, lease_s: float
    ) -> Claim[StoredEntry]:
        """Take the entries that are due and open their attempts."""
        of = {"tenant": tenant, "destination": destination}
        by_id = {ref.id: ref for ref in refs}
        found = await self._run("claim", ids=sorted(by_id), lease_s=lease_s, **of)
        others = sorted(by_id.keys() - {line["id"] for line in found})
        missed = await self._run("unclaimed", ids=others, **of) if others else []
        due = {line["id"]: line["due_in_s"] for line in missed}
        return Claim(
            rows=[_entry(line) for line in found],
            request=Request(found[0]["request_id"], found[0]["request_at"]) if found else None,
            waiting={by_id[id_]: due[id_] for id_ in others if id_ in due},
            settled=[by_id[id_] for id_ in others if id_ not in due],
        )

    async def reopen(
        self,
        tenant: str,
        destination: str,
        rows: Sequence[StoredEntry],
        unresolved: Sequence[StoredEntry],
        *,
        lease_s: float,
    ) -> Request:
        """Write down a further request and prolong the claims of all `unresolved`.

        Raises ClaimLost.
        """
        found = await self._run(
            "reopen",
            tenant=tenant,
            destination=destination,
            lease_s=lease_s,
            ids=[row.id for row in rows],
            all_ids=[row.id for row in unresolved],
            all_fences=[row.fence for row in unresolved],
        )
        if not found:
            raise ClaimLost(f"{destination} of {tenant}: a claim of {len(unresolved)} rows is gone")
        return Request(found[0]["request_id"], found[0]["request_at"])

    async def settle(
        self,
        tenant: str,
        results: Sequence[Result[StoredEntry]],
        *,
        request: Request | None,
        answered: Answered | None = None,
    ) -> set[int]:
        """Close attempts, move entries, write dead letters; returns the ids that moved.

        Tried again for some seconds when PostgreSQL is away: an answer that is not written down is
        a doubt.
        """
        del tenant  # ids say it
        values = _settlement(results, request, answered or Answered(sent=0))

        async def settle() -> set[int]:
            return {line["id"] for line in await self._run("settle", **values)}

        return await written(settle, self._settle_waits_s)

    async def forget(self, request: Request) -> None:
        """Take back a request that never left; its attempts must be settled first."""
        await self._run("forget", request=request.id)

    async def refusals(self, rows: Sequence[StoredEntry]) -> dict[int, int]:
        """How often each entry was refused alone, by id; those never refused are absent."""
        found = await self._run("refusals", ids=[row.id for row in rows])
        return {line["id"]: line["refusals"] for line in found}

    async def bury(
        self, tenant: str, destination: str, *, body: bytes, reason: str, detail: str, tries: int
    ) -> None:
        """Keep a message that names no entry as a dead letter."""
        await self._run(
            "bury",
            tenant=tenant,
            destination=destination,
            reason=reason,
            detail=_text(detail),
            attempts=tries,
            body=_whole(body.decode(errors="replace")),
        )

    async def make_due(self, lanes: Sequence[tuple[str, str]]) -> int:
        """Let the entries of these destinations (tenant, name) wait no longer; how many did."""
        tenants, destinations = [tenant for tenant, _ in lanes], [name for _, name in lanes]
        return len(await self._run("make_due", tenants=tenants, destinations=destinations))

    async def expire(self, *, most: int = 1_000) -> dict[str, int]:
        """Give up entries whose `expires_at` is over; how many by tenant."""
        found = await self._run(
            "expire", most=most, reason=TOO_OLD, detail="it waited for too long"
        )
        return {line["tenant"]: line["entries"] for line in found}

    async def letters(
        self,
        tenant: str,
        *,
        destination: str | None = None,
        reason: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Letter]:
        """Open dead letters of one tenant, oldest first, whose id is beyond `after`."""
        values = {"destination": destination, "reason": reason, "after": after, "limit": limit}
        return [Letter(**line) for line in await self._read(tenant, "letters", **values)]

    async def settled(
        self,
        tenant: str,
        statuses: Sequence[Status] = ("dead", "withheld"),
        *,
        destination: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Ended]:
        """Entries of one tenant that came to such an end, oldest first, whose id is beyond
        `after`.
        """
        values = {"destination": destination, "after": after, "limit": limit}
        found = await self._read(tenant, "settled", statuses=list(statuses), **values)
        return [Ended(**line) for line in found]

    async def send_again(self, tenant: str, shown: Iterable[Ended | Letter]) -> list[Pending]:
        """Make entries pending again, each from the state it was shown in; returns those that
        moved, to be published.

        An entry that was in doubt or delivered may then arrive twice: who asks has to know.
        """
        rows = [
            (one.entry if isinstance(one, Letter) else one.id, one.status, one.generation)
            for one in shown
        ]
        named = [row for row in rows if None not in row]
        if not named:
            return []
        ids, statuses, generations = map(list, zip(*named, strict=True))
        found = await self._run(
            "send_again", tenant=tenant, ids=ids, statuses=statuses, generations=generations
        )
        return [Pending(**line) for line in found]

    async def purge(self, before: datetime) -> int:
        """Delete what came to its end before that time, with its history; how many entries."""
        return int((await self._run("purge", before=before))[0]["entries"])

    async def _run(self, statement: str, **values: object) -> list[dict[str, Any]]:
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(self._sql[statement], values)
            return await cursor.fetchall() if cursor.description else []

    async def _read(self, tenant: str, statement: str, **values: object) -> list[dict[str, Any]]:
        """Under the tenant's row-level security."""
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(self._sql[statement], {"tenant": tenant, **values})
            return await found.fetchall()


def _named(text: bytes, product: str) -> bytes:
    if not _PRODUCT.fullmatch(product):
        raise ValueError(f"{product!r} is not a name for tables: a-z, 0-9 and _, 31 at most")
    return _TABLE.sub(f"{product}_outbox_".encode(), text)


def _entry(line: dict[str, Any]) -> StoredEntry:
    fields = {name: line[name] for name in StoredEntry.__struct_fields__ if name != "ref"}
    return StoredEntry(ref=_ref(line["id"], line["created_at"]), **fields)


def _ref(id_: int, created_at: datetime) -> Ref:
    # exact: the column's default cuts it to milliseconds, and a float is off by less than half of
    # one
    return Ref(id_, round(created_at.timestamp() * 1000))


def _settlement(
    results: Sequence[Result[StoredEntry]], request: Request | None, answered: Answered
) -> dict[str, object]:
    lines = sorted(results, key=lambda result: result.row.id)
    answer = cast(dict[str, object], msgspec.structs.asdict(answered))
    return {
        **answer,
        "answer": _text(answered.answer),
        "ids": [one.row.id for one in lines],
        "fences": [one.row.fence for one in lines],
        "outcomes": [one.outcome for one in lines],
        "statuses": [one.status for one in lines],
        "reasons": [one.reason for one in lines],
        "details": [_text(one.detail) for one in lines],
        "delays": [one.delay_s for one in lines],
        "counted": [one.counted for one in lines],
        "doubts": [one.doubts for one in lines],
        "request": request.id if request else None,
    }


def _text(text: str | None) -> str | None:
    return text and _whole(text)[:_TEXT_LIMIT]


def _whole(text: str) -> str:
    """PostgreSQL's text takes no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
