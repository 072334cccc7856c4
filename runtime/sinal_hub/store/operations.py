"""Keys of the operations API, its audit trail, and the results of work that must not be done twice.

Whoever calls has been admitted: what is asked here for a tenant is bound to it by row-level
security or, where the table is the worker's alone, by its own condition. A key is stored as SHA-256
of 256 random bits: nothing is there to guess, so a slow hash would only make every request slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database

_SQL = queries.load("sinal_hub.store", "operations")
_json = msgspec.json.Encoder().encode

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


class KnownOperation(msgspec.Struct, kw_only=True, frozen=True):
    """What an Idempotency-Key was used for; not `done` while dead letters wait for the broker."""

    kind: str
    request_sha256: str
    done: bool
    letters: list[int]
    result: bytes


class Schema(msgspec.Struct, kw_only=True, frozen=True):
    """The database as a writer finds it; `now` is its clock."""

    version: int
    writable: bool
    now: datetime


class OperationsStore:
    """Every method raises StoreUnavailable, StoreRejected."""

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
            await write_audit(connection, msgspec.structs.replace(audit, tenant=row["tenant_id"]))
        return _key(row)

    async def audit(
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

    async def known(self, actor: str, key: str) -> KnownOperation | None:
        """What this key of this caller was used for."""
        async with self._database.autocommit() as connection:
            return await _known(connection, actor, key)

    async def finish(self, actor: str, key: str) -> None:
        """Nothing is left to do of an operation."""
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL["finish_operation"], {"actor": actor, "key": key})

    async def schema(self) -> Schema:
        """How far the database is migrated, and whether it takes writes."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_SQL["schema"])).fetchone()
        return Schema(**(row or {}))


@asynccontextmanager
async def operation(
    database: Database, *, actor: str, key: str, tenant: str | None, kind: str, request_sha256: str
) -> AsyncIterator[tuple[Connection, KnownOperation | None]]:
    """One transaction, as the worker, that happens once a key.

    Of a second caller it gives what the first one did.
    """
    async with database.transaction() as connection:
        values = {
            "actor": actor,
            "key": key,
            "tenant": tenant,
            "kind": kind,
            "request": request_sha256,
        }
        began = await (await connection.execute(_SQL["begin_operation"], values)).fetchone()
        if began is None:
            yield connection, await _known(connection, actor, key)
            return
        await connection.execute(_SQL["forget_operations"])
        yield connection, None


async def save_operation(
    connection: Connection, actor: str, key: str, *, done: bool, letters: list[int], result: object
) -> None:
    """Keep what an operation came to."""
    values = {"actor": actor, "key": key, "letters": letters, "result": _json(result).decode()}
    await connection.execute(
        _SQL["save_operation"], {**values, "state": "done" if done else "prepared"}
    )


async def write_audit(connection: Connection, entry: AuditEntry) -> None:
    """Write a change down in its own transaction."""
    values = msgspec.structs.asdict(entry) | {"detail": _json(entry.detail).decode()}
    await connection.execute(_SQL["add_audit"], values)


async def _known(connection: Connection, actor: str, key: str) -> KnownOperation | None:
    found = await connection.execute(_SQL["known_operation"], {"actor": actor, "key": key})
    row = await found.fetchone()
    if row is None:
        return None
    return KnownOperation(
        kind=row["kind"],
        request_sha256=row["request_sha256"],
        done=row["state"] == "done",
        letters=row["letters"],
        result=row["result"].encode(),
    )


def _key(row: dict[str, Any]) -> KeyRow:
    return KeyRow(tenant=row.pop("tenant_id"), **row)
