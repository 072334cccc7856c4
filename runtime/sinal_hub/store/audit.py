"""Who changed what through the operations API.

A change is written down in the transaction that makes it, or, where it is made elsewhere, after it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database

_SQL = queries.load("sinal_hub.store", "audit")
_json = msgspec.json.Encoder().encode


class AuditEntry(msgspec.Struct, kw_only=True, frozen=True):
    """One change to be written down: who, what, to what, in which tenant."""

    tenant: str | None
    actor: str
    role: str
    action: str
    target: str
    detail: dict[str, Any] = {}


class AuditRow(msgspec.Struct, kw_only=True, frozen=True):
    """One change that was made."""

    id: int
    at: datetime
    tenant: str | None
    actor: str
    role: str
    action: str
    target: str
    detail: msgspec.Raw


class AuditStore:
    """The audit trail.

    Every method raises StoreUnavailable, StoreRejected.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, tenant: str | None, *, action: str | None, before: int | None, limit: int
    ) -> list[AuditRow]:
        """Changes of a tenant since its slug had another owner's rows, or all of everybody, newest
        first.
        """
        values = {"tenant": tenant, "action": action, "before": before, "limit": limit}
        async with self._database.transaction(tenant=tenant) as connection:
            found = await (await connection.execute(_SQL["audit"], values)).fetchall()
        return [
            AuditRow(
                tenant=row.pop("tenant_id"), detail=msgspec.Raw(row.pop("detail").encode()), **row
            )
            for row in found
        ]

    async def write(self, audit: AuditEntry) -> None:
        """Write a change down that was made elsewhere."""
        async with self._database.autocommit() as connection:
            await write_audit(connection, audit)


async def write_audit(connection: Connection, entry: AuditEntry) -> None:
    """Write a change down in its own transaction."""
    values = msgspec.structs.asdict(entry) | {"detail": _json(entry.detail).decode()}
    await connection.execute(_SQL["add_audit"], values)
