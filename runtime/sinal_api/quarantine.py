"""Routes of quarantine: what no adapter understood, and reading it again after a fix.

Bodies are never shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from sinal_api.access import Operator, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Slug, Word
from sinal_api.request_body import RequestBody
from sinal_core.http.problem import Problem
from sinal_hub.quarantine.release import KeptDelivery, KeptPage, Quarantined, Reparsed, ReparsedPage
from sinal_hub.services.errors import NotFound
from sinal_hub.store.operations import OperationsStore

Cursor = Annotated[str, Field(max_length=64, description="`next_cursor` of the page before.")]
SCHEMAS = (KeptPage, KeptDelivery, Reparsed, ReparsedPage)
_ABSENT = "no such delivery in quarantine; it was released, or it expired after 30 days"


class ReparseGateway(RequestBody):
    """Body: which deliveries to read again."""

    gateway: Word
    tenant: Slug | None = None
    cursor: Cursor | None = None
    limit: int = Field(100, ge=1, le=500, description="Deliveries read by one call.")


def routes(quarantined: Quarantined, operations: OperationsStore) -> APIRouter:
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
        page = await quarantined.page(
            caller.scope(tenant), gateway=gateway, before=cursor, limit=limit
        )
        return tagged(request, page)

    @router.get("/{kept_id}", responses=shows(KeptDelivery), summary="One kept delivery")
    async def one(request: Request, caller: Viewer, kept_id: str) -> Response:
        """Its metadata."""
        found = await quarantined.show(caller.tenant, kept_id)
        if found is None:
            raise NotFound(_ABSENT)
        return tagged(request, found)

    @router.post(
        "/reparse", responses=says(ReparsedPage), summary="Read a gateway's deliveries again"
    )
    async def reparse_gateway(caller: Operator, body: ReparseGateway) -> Response:
        """Read with the adapters of this release.

        What they understand is published and forgotten here.
        """
        scope = caller.scope(body.tenant)
        with _problems():
            done = await quarantined.reparse_all(
                scope, gateway=body.gateway, before=body.cursor, limit=body.limit
            )
        await operations.write(
            caller.entry("quarantine.reparse", body.gateway, tenant=scope, results=done.results)
        )
        return answer(done)

    @router.post("/{kept_id}/reparse", responses=says(Reparsed), summary="Read one delivery again")
    async def reparse(caller: Operator, kept_id: str) -> Response:
        """The same for one."""
        with _problems():
            done = await quarantined.reparse(caller.tenant, kept_id)
        if done is None:
            raise NotFound(_ABSENT)
        await operations.write(
            caller.entry(
                "quarantine.reparse", done.id, tenant=done.tenant, results={done.result: 1}
            )
        )
        return answer(done)

    return router


@contextmanager
def _problems() -> Iterator[None]:
    """The edge's refusals as the API's."""
    try:
        yield
    except Problem as error:
        headers = {name.decode(): value.decode() for name, value in error.headers}
        raise HTTPException(error.status, error.detail, headers=headers) from error
