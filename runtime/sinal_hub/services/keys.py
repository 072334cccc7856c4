"""API keys: made for a tenant or for the platform, shown once, ended at once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import msgspec

from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Conflict, NotFound
from sinal_hub.services.owners import taken_over
from sinal_hub.store.operations import KeyRow, OperationsStore, Role

KEY_PREFIX = "sak_"


class CreatedKey(msgspec.Struct, kw_only=True, frozen=True):
    """A new key; `key` is shown this once and kept nowhere."""

    key: str
    id: str
    tenant: str | None
    role: str
    name: str
    expires_at: datetime | None


def new_key() -> tuple[str, str]:
    """A key of 256 random bits, and the SHA-256 that is kept of it."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, digest(key)


def digest(key: str) -> str:
    """What is kept of a key; a slow hash is for passwords, which can be guessed."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


async def make_key(
    store: OperationsStore,
    caller: Caller,
    *,
    tenant: str | None,
    role: Role,
    name: str,
    expires_in_days: int | None,
) -> CreatedKey:
    """A new key.

    Raises NotFound, and Conflict where its tenant's slug is wanted by another owner.
    """
    scope = caller.scope(tenant)
    key, hashed = new_key()
    key_id = "key_" + secrets.token_hex(8)
    row = await store.add_key(
        id=key_id,
        key_sha256=hashed,
        tenant=scope,
        role=role,
        name=name,
        expires_at=None
        if expires_in_days is None
        else datetime.now(UTC) + timedelta(days=expires_in_days),
        audit=caller.entry("key.create", key_id, tenant=scope, key_role=role, name=name),
    )
    if row is None:
        raise Conflict(f"{taken_over(scope or '')}: a key would show the data of its owner")
    return CreatedKey(
        key=key,
        id=row.id,
        tenant=row.tenant,
        role=row.role,
        name=row.name,
        expires_at=row.expires_at,
    )


async def revoke_key(store: OperationsStore, caller: Caller, key_id: str) -> KeyRow:
    """The key as it ended; raises NotFound."""
    ended = await store.revoke_key(key_id, caller.tenant, audit=caller.entry("key.revoke", key_id))
    if ended is None:
        raise NotFound(f"no key {key_id[:64]!r}")
    return ended
