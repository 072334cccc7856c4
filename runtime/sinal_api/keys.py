"""Routes of keys, and of what was done with them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sinal_api.access import Admin, new_key
from sinal_api.answers import answer, cursor_of, read_cursor, says, shows, tagged
from sinal_api.filters import Slug, Word
from sinal_api.owners import taken_over
from sinal_hub.store.operations import AuditRow, KeyRow, OperationsStore


class NewKey(BaseModel):
    """Body: whom the key is for."""

    model_config = ConfigDict(extra="forbid")

    tenant: Slug | None = Field(None, description="Slug of its tenant; without one it is a key of the platform.")
    role: Literal["viewer", "operator", "admin"] = Field(
        "viewer", description="viewer reads, operator also replays and reviews, admin also keeps keys and funnels."
    )
    name: Word = Field(description="What a person will know it by.")
    expires_in_days: int | None = Field(None, ge=1, le=3_650)


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


def routes(store: OperationsStore) -> APIRouter:
    """Keys and the audit trail, for administrators."""
    router = APIRouter(prefix="/api/v1", tags=["keys"])

    @router.post("/keys", status_code=201, responses=says(CreatedKey, status=201), summary="Make a key")
    async def create(caller: Admin, body: NewKey) -> Response:
        """A tenant's administrator makes keys of that tenant only."""
        tenant = caller.scope(body.tenant)
        key, hashed = new_key()
        key_id = "key_" + secrets.token_hex(8)
        days = body.expires_in_days
        row = await store.add_key(
            id=key_id,
            key_sha256=hashed,
            tenant=tenant,
            role=body.role,
            name=body.name,
            expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
            audit=caller.entry("key.create", key_id, tenant=tenant, key_role=body.role, name=body.name),
        )
        if row is None:
            raise HTTPException(409, f"{taken_over(tenant or '')}: a key would show the data of its owner")
        made = CreatedKey(
            key=key, id=row.id, tenant=row.tenant, role=row.role, name=row.name, expires_at=row.expires_at
        )
        return answer(made, status=201)

    @router.delete("/keys/{key_id}", responses=says(KeyRow), summary="End a key")
    async def revoke(caller: Admin, key_id: Word) -> Response:
        """At once and for good; doing it again changes nothing."""
        ended = await store.revoke_key(key_id, caller.tenant, audit=caller.entry("key.revoke", key_id))
        if ended is None:
            raise HTTPException(404, f"no key {key_id[:64]!r}")
        return answer(ended)

    _add_lists(router, store)
    return router


def _add_lists(router: APIRouter, store: OperationsStore) -> None:
    @router.get("/keys", responses=shows(KeyPage), summary="Keys, newest first")
    async def listing(
        request: Request,
        caller: Admin,
        tenant: Word | None = None,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Revoked ones too; never the key itself."""
        before = None if cursor is None else read_cursor(cursor)
        found = await store.keys(caller.scope(tenant), before=before, limit=limit + 1)
        more = cursor_of(found[limit - 1].created_at, found[limit - 1].id) if len(found) > limit else None
        return tagged(request, KeyPage(keys=found[:limit], next_cursor=more))

    @router.get("/audit", responses=shows(AuditPage), summary="Who changed what, newest first")
    async def audit(
        request: Request,
        caller: Admin,
        tenant: Word | None = None,
        action: Word | None = None,
        cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Every change made through this API."""
        found = await store.audit(caller.scope(tenant), action=action, before=cursor, limit=limit + 1)
        more = str(found[limit - 1].id) if len(found) > limit else None
        return tagged(request, AuditPage(audit=found[:limit], next_cursor=more))
