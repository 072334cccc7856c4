"""Retention of each tenant: what dropping partitions does not reach.

Partitions hold all tenants and go with the most patient one; tenants that keep their data for less, and tables that are
not partitioned, lose their rows here. Claims go when they run out; those of purchases never do, they hold no person.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sinal_runtime.store import queries
from sinal_runtime.store.database import Database

_SQL = queries.load("retention")


async def purge(database: Database, *, now: datetime | None = None) -> dict[str, int]:
    """Delete what is older than its tenant keeps it; returns rows deleted by table. Raises StoreUnavailable.

    One transaction a table, so that a large first purge holds no lock on the others.
    """
    moment, deleted = now or datetime.now(UTC), {}
    for table, statement in _SQL.items():
        async with database.transaction() as connection:
            await connection.execute("set local statement_timeout = 0")
            deleted[table] = (await connection.execute(statement, {"now": moment})).rowcount
    return deleted
