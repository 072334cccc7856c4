"""What housekeeping asks of PostgreSQL: leases, stranded deliveries, heartbeats, and whether the
ledger adds up.

Set-based and idempotent: every statement may be repeated, by this replica or another, and changes
nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import DictRow

from sinal_core.aio.periodic import Lease
from sinal_core.postgres import queries
from sinal_core.postgres.database import Database
from sinal_hub.store.matching_rows import Outbox

_SQL = queries.load("sinal_hub.store", "housekeeping")
# A connection allows 30 s for a statement: too little for eight days of all tenants at once.
_CHECK_TIMEOUT = "set local statement_timeout = '300s'"


class StrandedLane(msgspec.Struct, frozen=True):
    """One destination of a tenant."""

    tenant: str
    destination: str


class Birth(msgspec.Struct, frozen=True):
    """When a tenant's stream was made."""

    tenant: str
    born: datetime


class LastBeat(msgspec.Struct, frozen=True):
    """The newest heartbeat that came through: seconds it took, and seconds since."""

    tenant: str
    seconds: float
    age_s: float


class LedgerFault(msgspec.Struct, frozen=True):
    """Rows that keep a tenant's ledger from adding up, with ids of some of their events."""

    tenant: str
    fault: str
    rows: int
    examples: list[str]


class Leases:
    """Who does which chore; a row a chore. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due_in_s(self, names: Sequence[str]) -> dict[str, float]:
        """Seconds until each of these chores may be taken, as things stand; none or less: now."""
        async with self._database.autocommit() as connection:
            found = await (await connection.execute(_SQL["due"], {"names": list(names)})).fetchall()
        return {row["name"]: row["in_s"] for row in found}

    async def take(self, name: str, holder: str, *, lease_s: float) -> Lease | None:
        """The chore, if it is due and nobody has it."""
        row = await self._one("take", name=name, holder=holder, lease_s=lease_s)
        return None if row is None else Lease(row["last_success_at"])

    async def renew(self, name: str, holder: str, *, lease_s: float) -> bool:
        """Hold it for longer; False when it was lost."""
        return await self._touch("renew", name=name, holder=holder, lease_s=lease_s)

    async def finish(self, name: str, holder: str, *, succeeded: bool, due_in_s: float) -> None:
        """Give it back with the time of the next run."""
        await self._touch(
            "succeeded" if succeeded else "failed", name=name, holder=holder, due_in_s=due_in_s
        )

    async def last_successes(self) -> dict[str, float]:
        """Unix time of each chore's last success, of any replica."""
        async with self._database.autocommit() as connection:
            found = await (await connection.execute(_SQL["leases"])).fetchall()
        return {
            row["name"]: row["last_success"] for row in found if row["last_success"] is not None
        }

    async def _one(self, statement: str, **values: object) -> DictRow | None:
        async with self._database.autocommit() as connection:
            return await (await connection.execute(_SQL[statement], values)).fetchone()

    async def _touch(self, statement: str, **values: object) -> bool:
        async with self._database.autocommit() as connection:
            return (await connection.execute(_SQL[statement], values)).rowcount > 0


class HousekeepingStore:
    """Statements of the chores; every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stranded_lanes(
        self, lanes: Sequence[StrandedLane], *, idle_s: float
    ) -> list[StrandedLane]:
        """Of these lanes those with rows that nobody has worked on for `idle_s` though they were
        due.
        """
        text = msgspec.json.encode(lanes).decode()
        return [
            StrandedLane(**row)
            for row in await self._ask("stranded_lanes", lanes=text, idle_s=idle_s)
        ]

    async def requeue(self, lane: StrandedLane, *, idle_s: float, limit: int) -> list[Outbox]:
        """Give such rows a new generation, so that the broker takes a new message for each.

        Oldest first.
        """
        found = await self._ask(
            "requeue", tenant=lane.tenant, destination=lane.destination, idle_s=idle_s, limit=limit
        )
        return [Outbox(**row) for row in found]

    async def requeue_lost(self, births: Sequence[Birth], *, limit: int) -> list[Outbox]:
        """The same for rows whose message was published before their tenant's stream was made, in a
        lane or not.
        """
        text = msgspec.json.encode(births).decode()
        return [Outbox(**row) for row in await self._ask("requeue_lost", births=text, limit=limit)]

    async def have_lost(self, births: Sequence[Birth]) -> set[str]:
        """Of these tenants those that still have such rows, maybe in a worker's hands."""
        text = msgspec.json.encode(births).decode()
        return {row["tenant"] for row in await self._ask("lost_left", births=text)}

    async def next_to_beat(self, tenants: Sequence[str]) -> str | None:
        """The tenant whose last heartbeat is the oldest."""
        found = await self._ask("next_to_beat", tenants=list(tenants))
        return found[0]["slug"] if found else None

    async def beat(self, tenant: str, event_id: str) -> None:
        """A heartbeat leaves now."""
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL["beat"], {"tenant": tenant, "id": event_id})

    async def last_beat(self) -> LastBeat | None:
        """The newest that came through, of any tenant."""
        found = await self._ask("last_beat")
        return LastBeat(**found[0]) if found else None

    async def faults(self, *, grace_s: float) -> list[LedgerFault]:
        """What keeps the ledger of the last eight days from adding up."""
        async with self._database.transaction() as connection:
            await connection.execute(_CHECK_TIMEOUT)
            cursor = await connection.execute(_SQL["faults"], {"grace_s": grace_s})
            return [LedgerFault(**row) for row in await cursor.fetchall()]

    async def _ask(self, statement: str, **values: Any) -> list[DictRow]:
        async with self._database.autocommit() as connection:
            return await (await connection.execute(_SQL[statement], values)).fetchall()
