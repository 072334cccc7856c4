"""What the edge tells of itself and no event holds: deliveries that it refused, and what waits on
its disks.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database

_SQL = queries.load("sinal_hub.store", "refusals")


class RefusalRow(msgspec.Struct, kw_only=True, frozen=True):
    """Deliveries that were refused for one reason.

    Null where a request named no tenant, integration or known gateway.

    `missing` is the header or query parameter that should prove a delivery and was not there.
    `networks` are the senders' (/24, or /48 of IPv6), a few of them. `in_a_row`: none of this
    integration's was taken since.
    """

    tenant: str | None
    integration: str | None
    gateway: str | None
    reason: str
    missing: str | None
    networks: list[str]
    deliveries: int
    first_at: datetime
    last_at: datetime
    in_a_row: bool


class SpoolRow(msgspec.Struct, kw_only=True, frozen=True):
    """What waits on the disks of edges that told of it within a minute."""

    processes: int
    records: int
    bytes: int
    oldest_at: datetime | None


class RefusalStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(
        self,
        tenant: str | None,
        *,
        hours: int = 24,
        integration: str | None = None,
        gateway: str | None = None,
        limit: int = 100,
    ) -> list[RefusalRow]:
        """Of one tenant, or of all and of nobody; the latest first."""
        values = {
            "tenant": tenant,
            "hours": hours,
            "integration": integration,
            "gateway": gateway,
            "limit": limit,
        }
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(_SQL["listed"], values)
            return [RefusalRow(**row) for row in await found.fetchall()]

    async def spooled(self) -> SpoolRow:
        """Of all tenants together; raises StoreRejected for a login that may not read it."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_SQL["spooled"])).fetchone()
        return SpoolRow(**(row or {}))
