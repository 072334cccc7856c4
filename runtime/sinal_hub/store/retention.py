"""Retention of each tenant: what dropping partitions does not reach.

Partitions hold all tenants and go with the most patient one; tenants that keep their data for less,
and tables that are not partitioned, lose their rows here. Orders stay as amounts for 13 months, as
rollups do; claims of purchases never go, but after the tenant's days they hold a hash in place of
the order's id.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database

_SQL = queries.load("sinal_hub.store", "retention")


async def purge(database: Database, *, now: datetime | None = None) -> dict[str, int]:
    """Take away what is older than its tenant keeps it; returns rows touched by statement.

    Raises StoreUnavailable.

    One transaction a statement, so that a large first purge holds no lock on the others.
    """
    moment, deleted = now or datetime.now(UTC), {}
    for table, statement in _SQL.items():
        async with database.transaction() as connection:
            # The first purge of a large tenant takes longer than the 30 s of a connection. Cut off,
            # it would begin anew at each run and never come to its end.
            await connection.execute("set local statement_timeout = 0")
            deleted[table] = (await connection.execute(statement, {"now": moment})).rowcount
    return deleted
