"""Keys of the operations API.

Whoever calls has been admitted: what is asked here for a tenant is bound to it by its own condition.
A key is stored as SHA-256 of 256 random bits: nothing is there to guess, so a slow hash would only
make every request slow.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database
from sinal_hub.store.audit import AuditEntry, write_audit

_SQL = queries.load("sinal_hub.store", "api_keys")

Role = Literal["viewer", "operator", "admin"]


class KeyOwner(msgspec.Struct, kw_only=True, frozen=True):
    """Whose key was presented; without a tenant it is a key of the platform."""

    id: str
    tenant_id: str | None
    role: Role
    name: str


class KeyRow(msgspec.Struct, kw_only=True, frozen=True):
    """One key as it may be shown: never the key, never its hash."""

    id: str
    tenant: str | None
    role: Role
    name: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyStore:
    """Keys by their hash, and by whose they are.

    Every method raises StoreUnavailable, StoreRejected.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner_of(self, key_sha256: str) -> KeyOwner | None:
        """Whose key it is; None for one that is unknown, revoked or expired.

        Notes the use once a minute.
        """
        async with self._database.autocommit() as connection:
            row = await (
                await connection.execute(_SQL["key_by_hash"], {"hash": key_sha256})
            ).fetchone()
            if row is None:
                return None
            # Nobody needs a finer time, and a write at every request would be a round trip more.
            if row.pop("stale"):
                await connection.execute(_SQL["key_used"], {"id": row["id"]})
        return KeyOwner(**row)

    async def add_key(
        self, *, id: str, key_sha256: str, tenant: str | None, role: Role, name: str, expires_at: datetime | None,
        audit: AuditEntry,
    ) -> KeyRow | None:  # fmt: skip
        """Keep a new key and who made it.

        None where the slug is wanted by another Tenant than has its rows.
        """
        values = {
            "id": id,
            "hash": key_sha256,
            "tenant": tenant,
            "role": role,
            "name": name,
            "expires_at": expires_at,
        }
        async with self._database.transaction() as connection:
            row = await (
                await connection.execute(_SQL["add_key"], {**values, "actor": audit.actor})
            ).fetchone()
            if row is None:
                return None
            await write_audit(connection, audit)
        return _key(row)

    async def ownerless_keys(self, *, limit: int) -> list[KeyRow]:
        """Keys that open nothing, because the Tenant that they were made for has its slug no more.

        Oldest first.
        """
        async with self._database.autocommit() as connection:
            rows = await (
                await connection.execute(_SQL["ownerless_keys"], {"limit": limit})
            ).fetchall()
        return [_key(row) for row in rows]

    async def keys(
        self, tenant: str | None, *, before: tuple[datetime, str] | None, limit: int
    ) -> list[KeyRow]:
        """Keys of a tenant, or of all and of the platform, newest first."""
        before_at, before_id = before or (None, None)
        values = {"tenant": tenant, "before_at": before_at, "before_id": before_id, "limit": limit}
        async with self._database.autocommit() as connection:
            return [
                _key(row)
                for row in await (await connection.execute(_SQL["keys"], values)).fetchall()
            ]

    async def revoke_key(
        self, key_id: str, tenant: str | None, *, audit: AuditEntry
    ) -> KeyRow | None:
        """End a key for good; None when the tenant has no such key."""
        async with self._database.transaction() as connection:
            row = await (
                await connection.execute(_SQL["revoke_key"], {"id": key_id, "tenant": tenant})
            ).fetchone()
            if row is None:
                return None
            # A key of the platform may end a tenant's: the line belongs where that tenant reads it.
            await write_audit(connection, msgspec.structs.replace(audit, tenant=row["tenant_id"]))
        return _key(row)


def _key(row: dict[str, Any]) -> KeyRow:
    return KeyRow(tenant=row.pop("tenant_id"), **row)
