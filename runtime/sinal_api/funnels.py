"""Routes of funnels: as the plans have them, and new ones as manifests."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from sinal_api.access import Admin, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.request_body import RequestBody
from sinal_hub.services.funnels import CreatedFunnel, Funnels, FunnelService


class NewFunnel(RequestBody):
    """Body: a Funnel's `spec` as in its manifest, without `tenantRef`."""

    tenant: Word | None = Field(None, description="Slug of its tenant; a tenant's key needs none.")
    name: Word
    spec: dict[str, Any] = Field(default_factory=dict)


def routes(service: FunnelService) -> APIRouter:
    """Funnels."""
    router = APIRouter(prefix="/api/v1/funnels", tags=["funnels"])

    @router.get("", responses=shows(Funnels), summary="Funnels as they work now")
    async def listing(request: Request, caller: Viewer, tenant: Word | None = None) -> Response:
        """From the compiled plans, without any secret."""
        return tagged(request, service.listed(caller, tenant))

    @router.post(
        "", status_code=201, responses=says(CreatedFunnel, status=201), summary="Declare a funnel"
    )
    async def create(caller: Admin, body: NewFunnel) -> Response:
        """It becomes a manifest.

        Each field at fault is named. 501 says that this API has no place for manifests.
        """
        made = await service.declare(caller, tenant=body.tenant, name=body.name, spec=body.spec)
        return answer(made, status=201)

    return router
