"""What may be sent again: selections under a tenant's row-level security, and the one transaction
that does it.

Selections only look. The change is made by the worker to exactly the rows that were shown, each
from the state it was shown in; a row that moved in between is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_hub.store.audit import AuditEntry, write_audit
from sinal_hub.store.idempotency import KnownOperation, operation, save_operation
from sinal_hub.store.matching_rows import Outbox

_SQL = queries.load("sinal_hub.store", "replay")
_json = msgspec.json.Encoder().encode
# Between the clock of the edge, which `received_at` is of, and PostgreSQL's, which `created_at` is
# of.
_CLOCKS = timedelta(days=1)


class SentRow(msgspec.Struct, kw_only=True, frozen=True):
    """One row of the outbox as it stood when it was looked at."""

    tenant: str
    event: str
    id: int
    created_at: datetime
    destination: str
    status: str
    reason: str | None
    generation: int
    event_time: int  # Unix seconds
    settled_at: datetime | None


class UnsentRow(msgspec.Struct, kw_only=True, frozen=True):
    """One event that never came to the outbox; `letter` is the dead letter that holds it."""

    tenant: str
    event: str
    received_at: datetime
    conversion_id: int | None
    outcome: str
    reason: str | None
    letter: int | None


class LetterRow(msgspec.Struct, kw_only=True, frozen=True):
    """One open dead letter."""

    tenant: str
    letter: int
    event: str | None
    stage: str
    destination: str | None
    capi_event_id: int | None
    capi_created_at: datetime | None
    has_body: bool


class LetterGroup(msgspec.Struct, kw_only=True, frozen=True):
    """Open dead letters with one cause."""

    tenant: str
    stage: str
    reason: str
    code: int | None
    subcode: int | None
    destination: str | None
    count: int
    first_at: datetime
    last_at: datetime
    sample: list[str] | None
    detail: str | None


class Cause(msgspec.Struct, kw_only=True, frozen=True):
    """What names a group."""

    stage: str
    reason: str
    code: int | None = None
    subcode: int | None = None
    destination: str | None = None


class Body(msgspec.Struct, frozen=True):
    """A dead letter's message."""

    id: int
    tenant: str
    body: str


class ReplayWork(msgspec.Struct, kw_only=True, frozen=True):
    """What an operation does: rows to send again, events to judge again, letters to hand back to
    matching.
    """

    rows: list[SentRow]
    events: list[UnsentRow]
    letters: list[int]


class Done(msgspec.Struct, kw_only=True, frozen=True):
    """What an operation did: rows for the bus, letters for the bus."""

    outbox: list[Outbox]
    letters: list[int]


class ReplayStore:
    """Every method raises StoreUnavailable, StoreRejected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_events(
        self,
        tenant: str | None,
        events: Sequence[tuple[str, str, datetime]],
        destination: str | None,
    ) -> tuple[list[SentRow], list[UnsentRow]]:
        """Outbox rows of these events (id, tenant, received), and those of them that have none."""
        if not events:
            return [], []
        values = {
            "events": [event for event, _, _ in events],
            "tenants": sorted({owner for _, owner, _ in events}),
            "since": min(received for _, _, received in events) - _CLOCKS,
            "destination": destination,
        }
        async with self._database.transaction(tenant=tenant) as connection:
            rows = await (await connection.execute(_SQL["deliveries_of"], values)).fetchall()
            unsent = await (await connection.execute(_SQL["unsent_of"], values)).fetchall()
        return [SentRow(**row) for row in rows], [UnsentRow(**row) for row in unsent]

    async def groups(self, tenant: str | None, *, limit: int) -> list[LetterGroup]:
        """Open dead letters by cause, the largest groups first."""
        query = b"%s %s" % (_SQL["letters"], _SQL["letter_groups"])
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(query, {"tenant": tenant, "limit": limit})
            return [LetterGroup(**row) for row in await found.fetchall()]

    async def letters(
        self, tenant: str | None, cause: Cause, *, after: int, until: datetime, limit: int
    ) -> list[LetterRow]:
        """Open dead letters of one cause, oldest first, that were there at `until`."""
        values = msgspec.structs.asdict(cause) | {
            "tenant": tenant,
            "after": after,
            "until": until,
            "limit": limit,
        }
        query = b"%s %s" % (_SQL["letters"], _SQL["letters_of_group"])
        async with self._database.transaction(tenant=tenant) as connection:
            return [
                LetterRow(**row)
                for row in await (await connection.execute(query, values)).fetchall()
            ]

    async def rows_of(self, tenant: str | None, letters: Sequence[LetterRow]) -> list[SentRow]:
        """Outbox rows that these letters are about."""
        named = [
            {"id": one.capi_event_id, "created_at": one.capi_created_at}
            for one in letters
            if one.capi_event_id is not None and one.capi_created_at is not None
        ]
        if not named:
            return []
        moments = [one.capi_created_at for one in letters if one.capi_created_at is not None]
        values = {"rows": _json(named).decode(), "since": min(moments), "until": max(moments)}
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(_SQL["deliveries_by_id"], values)
            return [SentRow(**row) for row in await found.fetchall()]

    async def run(
        self, work: ReplayWork, *, actor: str, key: str, tenant: str | None, kind: str, request_sha256: str,
        audits: Sequence[AuditEntry], result: Callable[[Done], object],
    ) -> Done | KnownOperation:  # fmt: skip
        """Do the work once and keep what `result` makes of it.

        Of a key that was used, what it was used for.
        """
        async with operation(
            self._database,
            actor=actor,
            key=key,
            tenant=tenant,
            kind=kind,
            request_sha256=request_sha256,
        ) as (connection, known):
            if known is not None:
                return known
            outbox = await _send_again(connection, work.rows)
            letters = sorted({*work.letters, *await _judge_again(connection, work.events)})
            for audit in audits:
                await write_audit(connection, audit)
            done = Done(outbox=outbox, letters=letters)
            # Letters are not done before the broker has them: until then the same key goes on with
            # them.
            await save_operation(
                connection, actor, key, done=not letters, letters=letters, result=result(done)
            )
        return done

    async def bodies(self, letters: Sequence[int]) -> list[Body]:
        """The messages of these letters."""
        async with self._database.autocommit() as connection:
            found = await connection.execute(_SQL["letter_bodies"], {"ids": list(letters)})
            return [Body(**row) for row in await found.fetchall()]

    async def played(self, letters: Sequence[int]) -> None:
        """The broker has these letters."""
        if letters:
            async with self._database.autocommit() as connection:
                await connection.execute(_SQL["letters_played"], {"ids": list(letters)})


async def _send_again(connection: Connection, rows: Sequence[SentRow]) -> list[Outbox]:
    if not rows:
        return []
    moments = [row.created_at.astimezone(UTC) for row in rows]
    values: dict[str, Any] = {
        "rows": _json(rows).decode(),
        "since": min(moments),
        "until": max(moments),
    }
    return [
        Outbox(**row)
        for row in await (await connection.execute(_SQL["send_again"], values)).fetchall()
    ]


async def _judge_again(connection: Connection, events: Sequence[UnsentRow]) -> list[int]:
    """Matching decides about an order under its lock; so does this."""
    if not events:
        return []
    orders = [event.conversion_id for event in events if event.conversion_id is not None]
    await connection.execute(_SQL["lock_orders"], {"ids": orders})
    found = await connection.execute(_SQL["judge_again"], {"rows": _json(events).decode()})
    return [row["id"] for row in await found.fetchall()]
