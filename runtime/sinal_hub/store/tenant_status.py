"""What statuses tell of tenants, asked of PostgreSQL for all of them at once.

And what only other processes know.

Rows are plain: what they mean is for `status.measurements` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_hub.model.events import Tallies

_SQL = queries.load("sinal_hub.store", "tenant_status")
# Longer than a connection allows: after a while without housekeeping a look may have much to catch
# up.
_TIMEOUT = "set local statement_timeout = '60s'"
_EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(minutes=5)  # a transaction shows up after the time it writes down


class DestinationKey(msgspec.Struct, frozen=True):
    """One destination of a tenant."""

    tenant: str
    destination: str


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """When something last came in; `integration` is empty where it came from pages."""

    tenant: str
    funnel: str
    integration: str
    last_at: datetime


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a funnel in 24 hours."""

    tenant: str
    funnel: str
    events: int


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of a funnel in 24 hours, and how many of them were matched."""

    tenant: str
    funnel: str
    decided: int
    matched: int


class Tallied(msgspec.Struct, frozen=True, kw_only=True):
    """What the edge could make no event of in 24 hours.

    `last_at` is the last that was believed all the same.
    """

    tenant: str
    integration: str
    rejects: int
    drift: int
    last_at: datetime | None


class DestinationDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """How a destination does.

    `open` is None while its breaker is closed, False when it may be tried again.
    """

    tenant: str
    destination: str
    last_success: datetime | None = None
    verdict: str | None = None
    code: int | None = None
    subcode: int | None = None
    answered_at: datetime | None = None
    open: bool | None = None
    reason: str | None = None
    open_until: datetime | None = None
    dead_letters: int = 0
    recently_dead: int = 0
    recently_delivered: int = 0


class Sights(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of one look."""

    sightings: Sequence[Sighting] = ()
    volumes: Sequence[Volume] = ()
    decisions: Sequence[Decided] = ()
    tallies: Sequence[Tallied] = ()
    deliveries: Sequence[DestinationDelivery] = ()
    quiet: frozenset[str] = frozenset()


class TenantStatusStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, lanes: Sequence[DestinationKey], *, since: datetime | None) -> Sights:
        """Everything as it is now; `since` says when the last look was (None: there was none)."""
        start = since - OVERLAP if since is not None else _EVERYTHING
        async with self._database.transaction() as connection:
            await connection.execute(_TIMEOUT)
            await connection.execute(_SQL["sight"], {"since": start})
        # Apart from the write, whose row locks would be held through all of these reads.
        async with self._database.transaction() as connection:
            await connection.execute(_TIMEOUT)
            found = {
                name: await _rows(connection, name)
                for name in ("sightings", "volumes", "decisions", "tallies")
            }
            quiet = await _rows(connection, "quiet")
            deliveries = await _deliveries(connection, lanes)
        return msgspec.convert(
            {**found, "deliveries": deliveries, "quiet": [row["tenant"] for row in quiet]}, Sights
        )

    async def deliveries(self, lanes: Sequence[DestinationKey]) -> list[DestinationDelivery]:
        """How these destinations do."""
        async with self._database.transaction() as connection:
            await connection.execute(_TIMEOUT)
            return msgspec.convert(await _deliveries(connection, lanes), list[DestinationDelivery])

    async def note(self, told: Tallies) -> None:
        """Keep what a process of the edge has counted; to keep it twice changes nothing."""
        async with self._database.transaction() as connection:
            if told.tallies:
                await connection.execute(_SQL["note_tallies"], {"tallies": _json(told.tallies)})
            if told.refused:
                await connection.execute(_SQL["note_refused"], {"refused": _json(told.refused)})
            if told.spool is not None:
                await connection.execute(_SQL["note_spool"], msgspec.structs.asdict(told.spool))


class DestinationHealthStore:
    """Where dispatch processes say which of their breakers are not closed.

    Raises StoreUnavailable.
    """

    def __init__(self, database: Database, *, worker: str) -> None:
        self._database, self._worker = database, worker

    async def opened(self, tenant: str, destination: str, *, reason: str, wait_s: float) -> None:
        """This process sends nothing to it for so long."""
        await self._run(
            "note_circuit", tenant=tenant, destination=destination, reason=reason, wait_s=wait_s
        )

    async def closed(self, tenant: str, destination: str) -> None:
        """This process sends to it again."""
        await self._run("close_circuit", tenant=tenant, destination=destination)

    async def _run(self, statement: str, **values: Any) -> None:
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL[statement], {"worker": self._worker, **values})


async def _deliveries(
    connection: Connection, lanes: Sequence[DestinationKey]
) -> list[dict[str, Any]]:
    return await _rows(connection, "deliveries", lanes=msgspec.json.encode(lanes).decode())


def _json(rows: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(rows).decode()


async def _rows(connection: Connection, statement: str, **values: Any) -> list[dict[str, Any]]:
    return await (await connection.execute(_SQL[statement], values)).fetchall()
