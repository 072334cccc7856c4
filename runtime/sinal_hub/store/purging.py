"""Everything of a tenant taken out of the tables, a batch at a time, and a line in the audit log at
the end.

Each batch is a transaction of its own, so that work which is stopped goes on where it was.
Invariant: rows go only while they are the Tenant's that left; those that were handed over stay.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from psycopg import sql

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_crds.departures import Departure
from sinal_hub.store.audit import AuditEntry, write_audit
from sinal_hub.store.owners import home

_SQL = queries.load("sinal_hub.store", "owners")
_LOCK = queries.load("sinal_hub.store", "personal_data")["shut_out"]
_json = msgspec.json.Encoder().encode
BATCH = 5_000  # rows of a transaction

# What holds anything of a tenant, children before what they refer to; `tenants` itself goes last.
# The audit log stays: it is the platform's, and a tenant's key reads of it what is younger than the
# last purge.
TABLES = (
    "matches", "open_orders", "order_names", "conversions", "dispatch_attempts", "dispatch_requests", "dead_letters",
    "capi_events",
    "events", "clicks", "sessions", "identities", "dedupe_registry", "setup_messages", "setup_action_logs",
    "setup_sessions", "rollups", "conversion_rollups", "privacy_marks", "erasures", "heartbeats", "sightings",
    "circuits", "tallies", "refusals", "operations", "funnels", "api_keys",
)  # fmt: skip


class PurgeStore:
    """Of the tables' owner. Every method raises StoreUnavailable, StoreRejected."""

    def __init__(self, owner: Database, *, batch: int = BATCH) -> None:
        self._database, self._batch = owner, batch

    async def begin(self, departure: Departure) -> bool:
        """Note what is to be done; False where the rows are another Tenant's by now."""
        values = {
            "id": _id(departure),
            "slug": departure.slug,
            "uid": departure.uid,
            "home": home(departure.namespace, departure.name),
            "at": datetime.fromtimestamp(departure.at / 1000, UTC),
        }
        async with self._database.transaction() as connection:
            await connection.execute(_SQL["begin_purge"], values)
            row = await (await connection.execute(_SQL["is_theirs"], values)).fetchone()
        return bool((row or {})["theirs"])

    async def purge(self, departure: Departure) -> int:
        """Take one batch out of each table; returns how many rows went."""
        counts = {}
        for table in TABLES:
            async with self._database.transaction() as connection:
                counts[table] = await self._remove(connection, table, departure.slug)
                await self._count(connection, departure, {table: counts[table]})
        return sum(counts.values())

    async def finish(self, departure: Departure, *, theirs: bool, quarantined: int) -> bool:
        """Take out what came meanwhile, the tenant itself, and write it down.

        False where more is left than a batch.

        No batch of matching runs beside it.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, {"tenant": departure.slug})
            if theirs:
                late = {
                    table: await self._remove(connection, table, departure.slug) for table in TABLES
                }
                await self._count(connection, departure, late)
                # As many as a batch may mean that there are more. While any are left the tenant's
                # row stays, because it says whose they are.
                if max(late.values()) >= self._batch:
                    return False
                await connection.execute(_SQL["remove_tenant"], {"slug": departure.slug})
            row = await (
                await connection.execute(_SQL["finish_purge"], {"id": _id(departure)})
            ).fetchone()
            if row is None:
                return True  # it was finished before
            counts = msgspec.json.decode(row["counts"]) | {"quarantine": quarantined}
            entry = AuditEntry(
                tenant=departure.slug,
                actor="housekeeping",
                role="platform",
                action="tenant.purge" if theirs else "tenant.purge_refused",
                target=home(departure.namespace, departure.name),
                detail={"uid": departure.uid, "rows": counts} if theirs else {"uid": departure.uid},
            )
            await write_audit(connection, entry)
        return True

    async def _remove(self, connection: Connection, table: str, slug: str) -> int:
        # a place in one partition may be a place in another, too: there as well only the tenant's
        # rows go
        statement = sql.SQL(
            "delete from {table} where tenant_id = %(slug)s and ctid = any(array("
            "select ctid from {table} where tenant_id = %(slug)s limit %(batch)s))"
        ).format(table=sql.Identifier(table))
        return (await connection.execute(statement, {"slug": slug, "batch": self._batch})).rowcount

    async def _count(
        self, connection: Connection, departure: Departure, rows: dict[str, int]
    ) -> None:
        found = {table: count for table, count in rows.items() if count}
        if found:
            await connection.execute(
                _SQL["count_purged"], {"id": _id(departure), "rows": _json(found).decode()}
            )


def _id(departure: Departure) -> str:
    return f"{departure.key}.{departure.at}"
