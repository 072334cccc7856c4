"""Changes of events in the order they happened: a new row, a new outcome, a settled delivery.

A change shows its transaction's start, so a long one commits behind a cursor that has moved on: who
follows reads the last seconds again and leaves out what it has seen.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database

_SQL = queries.load("sinal_hub.store", "tail")


class EventChange(msgspec.Struct, frozen=True):
    """An event has come or changed."""

    at: datetime
    id: str


class TailStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> datetime:
        """The database's clock, which cursors are of."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_SQL["clock"])).fetchone()
        assert row is not None  # noqa: S101 - a select without from has one row
        now: datetime = row["now"]
        return now

    async def changes(
        self, tenant: str | None, after: tuple[datetime, str], *, limit: int
    ) -> list[EventChange]:
        """Changes behind a cursor, oldest first; an event may be there more than once."""
        values = {"tenant": tenant, "at": after[0], "id": after[1], "limit": limit}
        async with self._database.transaction(tenant=tenant) as connection:
            return [
                EventChange(**row)
                for row in await (await connection.execute(_SQL["changes"], values)).fetchall()
            ]
