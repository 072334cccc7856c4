"""How far the database is migrated, and whether it takes writes."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database

_SQL = queries.load("sinal_hub.store", "schema")


class Schema(msgspec.Struct, kw_only=True, frozen=True):
    """The database as a writer finds it; `now` is its clock."""

    version: int
    writable: bool
    now: datetime


class SchemaStore:
    """The database as a whole.

    Every method raises StoreUnavailable, StoreRejected.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Schema:
        """How far the database is migrated, and whether it takes writes."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_SQL["schema"])).fetchone()
        return Schema(**(row or {}))
