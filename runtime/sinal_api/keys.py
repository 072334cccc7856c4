"""Routes of keys, and of what was done with them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sinal_api.access import Admin
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Slug, Word
from sinal_api.request_body import RequestBody
from sinal_hub.services.keys import AuditPage, CreatedKey, KeyPage, KeyService
from sinal_hub.services.shapes import KeyRow


class NewKey(RequestBody):
    """Body: whom the key is for."""

    tenant: Slug | None = Field(
        None, description="Slug of its tenant; without one it is a key of the platform."
    )
    role: Literal["viewer", "operator", "admin"] = Field(
        "viewer",
        description="viewer reads, operator also replays and reviews, admin also keeps "
        "keys and funnels.",
    )
    name: Word = Field(description="What a person will know it by.")
    expires_in_days: int | None = Field(None, ge=1, le=3_650)


def routes(service: KeyService) -> APIRouter:
    """Keys and the audit trail, for administrators."""
    router = APIRouter(prefix="/api/v1", tags=["keys"])

    @router.post(
        "/keys", status_code=201, responses=says(CreatedKey, status=201), summary="Make a key"
    )
    async def create(caller: Admin, body: NewKey) -> Response:
        """A tenant's administrator makes keys of that tenant only."""
        made = await service.make(
            caller,
            tenant=body.tenant,
            role=body.role,
            name=body.name,
            expires_in_days=body.expires_in_days,
        )
        return answer(made, status=201)

    @router.delete("/keys/{key_id}", responses=says(KeyRow), summary="End a key")
    async def revoke(caller: Admin, key_id: Word) -> Response:
        """At once and for good; doing it again changes nothing."""
        return answer(await service.revoke(caller, key_id))

    _add_lists(router, service)
    return router


def _add_lists(router: APIRouter, service: KeyService) -> None:
    @router.get("/keys", responses=shows(KeyPage), summary="Keys, newest first")
    async def listing(
        request: Request,
        caller: Admin,
        tenant: Word | None = None,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Revoked ones too; never the key itself."""
        return tagged(request, await service.listed(caller, tenant, cursor=cursor, limit=limit))

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
        page = await service.audit(caller, tenant, action=action, before=cursor, limit=limit)
        return tagged(request, page)
