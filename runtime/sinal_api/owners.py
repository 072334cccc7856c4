"""Route of a slug that another Tenant took: whose the data under it are is decided by the
platform's administrator.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from sinal_api.access import Admin
from sinal_api.answers import answer, says
from sinal_api.filters import Word
from sinal_hub.services.owners import OwnerService
from sinal_hub.services.shapes import HandedOver


def routes(owners: OwnerService) -> APIRouter:
    """Handing a slug over."""
    router = APIRouter(prefix="/api/v1/tenants/{slug}", tags=["tenants"])

    @router.post(
        "/handover",
        responses=says(HandedOver),
        summary="Give a slug's data to the Tenant that took the slug",
    )
    async def hand_over(caller: Admin, slug: Word) -> Response:
        """For the platform's administrator.

        Keys of the tenant before end; the new one works within seconds.
        """
        return answer(await owners.hand_over(caller, slug))

    return router
