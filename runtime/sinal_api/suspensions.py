"""Routes of what is suspended: what stands still now, and the way to suspend and to resume."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from sinal_api.access import Admin, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.request_body import RequestBody
from sinal_hub.services.suspensions import Changed, Kind, SuspendedPage, SuspensionService


class Change(RequestBody):
    """Body: which object, and whether it shall stand still."""

    tenant: Word | None = Field(None, description="Slug of its tenant; a tenant's key needs none.")
    kind: Kind
    name: Word = Field(description="The object's name; of a Tenant its slug.")
    suspended: bool


def routes(service: SuspensionService) -> APIRouter:
    """What is suspended."""
    router = APIRouter(prefix="/api/v1/suspensions", tags=["tenants"])

    @router.get("", responses=shows(SuspendedPage), summary="What is suspended now")
    async def listing(request: Request, caller: Viewer, tenant: Word | None = None) -> Response:
        """From the compiled plans.

        Of a suspended tenant its parts stand still, too, and are not listed for that.
        """
        return tagged(request, service.listed(caller, tenant))

    @router.put("", responses=says(Changed), summary="Suspend an object, or resume it")
    async def change(caller: Admin, body: Change) -> Response:
        """Saying it again changes nothing. A Tenant needs a key of the platform."""
        return answer(
            await service.change(
                caller, tenant=body.tenant, kind=body.kind, name=body.name, suspended=body.suspended
            )
        )

    return router
