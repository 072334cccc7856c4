"""Routes of quarantine: what no adapter understood, and reading it again after a fix.

Bodies are never shown.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sinal_api.access import Operator, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Slug, Word
from sinal_api.request_body import RequestBody
from sinal_hub.services.quarantined import (
    KeptDelivery,
    KeptPage,
    QuarantineService,
    Reparsed,
    ReparsedPage,
)

Cursor = Annotated[str, Field(max_length=64, description="`next_cursor` of the page before.")]
SCHEMAS = (KeptPage, KeptDelivery, Reparsed, ReparsedPage)


class ReparseGateway(RequestBody):
    """Body: which deliveries to read again."""

    gateway: Word
    tenant: Slug | None = None
    cursor: Cursor | None = None
    limit: int = Field(100, ge=1, le=500, description="Deliveries read by one call.")


def routes(service: QuarantineService) -> APIRouter:
    """Quarantine."""
    router = APIRouter(prefix="/api/v1/quarantine", tags=["quarantine"])

    @router.get(
        "", responses=shows(KeptPage), summary="Deliveries that no adapter understood, newest first"
    )
    async def kept(
        request: Request,
        caller: Viewer,
        tenant: Slug | None = None,
        gateway: Word | None = None,
        cursor: Cursor | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        """Where they are from and why they are kept.

        They hold personal data and are sealed; none of it is shown.
        """
        page = await service.page(caller, tenant, gateway=gateway, cursor=cursor, limit=limit)
        return tagged(request, page)

    @router.get("/{kept_id}", responses=shows(KeptDelivery), summary="One kept delivery")
    async def one(request: Request, caller: Viewer, kept_id: str) -> Response:
        """Its metadata."""
        return tagged(request, await service.show(caller, kept_id))

    @router.post(
        "/reparse", responses=says(ReparsedPage), summary="Read a gateway's deliveries again"
    )
    async def reparse_gateway(caller: Operator, body: ReparseGateway) -> Response:
        """Read with the adapters of this release.

        What they understand is published and forgotten here.
        """
        done = await service.reparse_all(
            caller, body.tenant, gateway=body.gateway, cursor=body.cursor, limit=body.limit
        )
        return answer(done)

    @router.post("/{kept_id}/reparse", responses=says(Reparsed), summary="Read one delivery again")
    async def reparse(caller: Operator, kept_id: str) -> Response:
        """The same for one."""
        return answer(await service.reparse(caller, kept_id))

    return router
