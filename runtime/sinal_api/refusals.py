"""Routes of refused deliveries: what gateways sent that no event came of, why, and from which
network.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sinal_api.access import Viewer
from sinal_api.answers import shows, tagged
from sinal_api.filters import Word
from sinal_hub.services.refusals import Refusals, RefusalService


def routes(service: RefusalService) -> APIRouter:
    """Refused deliveries."""
    router = APIRouter(prefix="/api/v1/refusals", tags=["refusals"])

    @router.get(
        "", responses=shows(Refusals), summary="Webhooks that were refused at the door, by reason"
    )
    async def refusals(
        request: Request,
        caller: Viewer,
        tenant: Word | None = None,
        integration: Word | None = None,
        gateway: Word | None = None,
        hours: Annotated[
            int, Query(ge=1, le=48, description="Length of the window that ends now.")
        ] = 24,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """When, why, how many, from which networks and which proof was missing.

        Never what was in them.

        A key of the platform also sees those whose URL or host names no tenant.
        """
        found = await service.listed(
            caller, tenant, hours=hours, integration=integration, gateway=gateway, limit=limit
        )
        return tagged(request, found)

    return router
