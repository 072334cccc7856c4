"""API keys: made for a tenant or for the platform, shown once, ended at once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
from pydantic import SecretStr

from sinal_core.postgres.errors import StoreError
from sinal_hub.services.callers import Caller
from sinal_hub.services.cursors import cursor_of, read_cursor
from sinal_hub.services.errors import Conflict, NotFound
from sinal_hub.services.owners import taken_over
from sinal_hub.store.api_keys import KeyOwner, KeyRow, KeyStore, Role
from sinal_hub.store.audit import AuditRow, AuditStore

KEY_PREFIX = "sak_"


class CreatedKey(msgspec.Struct, kw_only=True, frozen=True):
    """A new key; `key` is shown this once and kept nowhere."""

    key: str
    id: str
    tenant: str | None
    role: str
    name: str
    expires_at: datetime | None


class KeyPage(msgspec.Struct, kw_only=True, frozen=True):
    """Keys, newest first."""

    keys: list[KeyRow]
    next_cursor: str | None


class AuditPage(msgspec.Struct, kw_only=True, frozen=True):
    """Changes, newest first."""

    audit: list[AuditRow]
    next_cursor: str | None


class Keys(Protocol):
    """Where keys are looked up; `store.api_keys.KeyStore` in production."""

    async def owner_of(self, key_sha256: str) -> KeyOwner | None:
        """Whose key it is, if it is one and still good."""
        ...


class KeyCheck:
    """Whose a shown key is; without a configured admin key only keys of the store get in."""

    def __init__(self, admin_key: SecretStr | None, keys: Keys) -> None:
        self._admin = admin_key.get_secret_value() if admin_key is not None else ""
        self._keys = keys

    async def caller(self, key: str) -> Caller | None:
        """Who shows it; None for a key of nobody. The admin key works while the store is away."""
        # Digests are of one length, so the time of the comparison does not tell the key's. Asked
        # first, so that an administrator gets in while PostgreSQL is away.
        if self._admin and hmac.compare_digest(digest(key), digest(self._admin)):
            return Caller(actor="admin_key", role="admin", tenant=None)
        owner = await self._keys.owner_of(digest(key))
        if owner is None:
            return None
        return Caller(actor=owner.id, role=owner.role, tenant=owner.tenant_id)

    async def still(self, key: str, caller: Caller) -> bool:
        """Whether a key is good yet, and its caller's; true while the store does not say."""
        try:
            return await self.caller(key) == caller
        except StoreError:
            return True


class KeyService:
    """Keys and the audit trail; raises StoreUnavailable and errors of services."""

    def __init__(self, store: KeyStore, audit: AuditStore) -> None:
        self._store, self._audit = store, audit

    async def make(
        self,
        caller: Caller,
        *,
        tenant: str | None,
        role: Role,
        name: str,
        expires_in_days: int | None,
    ) -> CreatedKey:
        """A new key; a tenant's administrator makes keys of that tenant only."""
        return await make_key(
            self._store,
            caller,
            tenant=tenant,
            role=role,
            name=name,
            expires_in_days=expires_in_days,
        )

    async def revoke(self, caller: Caller, key_id: str) -> KeyRow:
        """The key as it ended."""
        return await revoke_key(self._store, caller, key_id)

    async def listed(
        self, caller: Caller, tenant: str | None, *, cursor: str | None, limit: int
    ) -> KeyPage:
        """Keys, revoked ones too; raises Invalid for a cursor of nobody."""
        before = None if cursor is None else read_cursor(cursor)
        found = await self._store.keys(caller.scope(tenant), before=before, limit=limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        more = None if last is None else cursor_of(last.created_at, last.id)
        return KeyPage(keys=found[:limit], next_cursor=more)

    async def audit(
        self,
        caller: Caller,
        tenant: str | None,
        *,
        action: str | None,
        before: int | None,
        limit: int,
    ) -> AuditPage:
        """What was changed, by whom."""
        found = await self._audit.read(
            caller.scope(tenant), action=action, before=before, limit=limit + 1
        )
        more = str(found[limit - 1].id) if len(found) > limit else None
        return AuditPage(audit=found[:limit], next_cursor=more)


def new_key() -> tuple[str, str]:
    """A key of 256 random bits, and the SHA-256 that is kept of it."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, digest(key)


def digest(key: str) -> str:
    """What is kept of a key; a slow hash is for passwords, which can be guessed."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


async def make_key(
    store: KeyStore,
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
    # Not made of the key: the id stands in logs and in the audit trail.
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


async def revoke_key(store: KeyStore, caller: Caller, key_id: str) -> KeyRow:
    """The key as it ended; raises NotFound."""
    ended = await store.revoke_key(key_id, caller.tenant, audit=caller.entry("key.revoke", key_id))
    if ended is None:
        raise NotFound(f"no key {key_id[:64]!r}")
    return ended
