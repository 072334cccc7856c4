"""Routes of one tenant's figures: how its events end, which signals they carry, how many pair with
the browser's.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sinal_api.access import Viewer
from sinal_api.answers import shows, tagged
from sinal_api.filters import Word
from sinal_hub.services.figures import Coverage, FigureService, Pairing, Summary

Hours = Annotated[int, Query(ge=1, le=168, description="Length of the window that ends now.")]
SCHEMAS = (Summary, Coverage, Pairing)


def routes(figures: FigureService) -> APIRouter:
    """One tenant's figures."""
    router = APIRouter(prefix="/api/v1/tenants/{slug}", tags=["tenants"])

    @router.get("/summary", responses=shows(Summary), summary="How a tenant's events end")
    async def summary(request: Request, caller: Viewer, slug: Word, hours: Hours = 24) -> Response:
        """Events by kind and outcome, match rate, latency from received to delivered, what
        waits.
        """
        return tagged(request, await figures.summary(caller, slug, hours=hours))

    @router.get(
        "/signal-coverage", responses=shows(Coverage), summary="Which signals its conversions carry"
    )
    async def coverage(request: Request, caller: Viewer, slug: Word, hours: Hours = 24) -> Response:
        """More signals, better matching at Meta.

        `ip_and_user_agent` counts only where both are there.
        """
        return tagged(request, await figures.coverage(caller, slug, hours=hours))

    @router.get(
        "/pixel-pairing",
        responses=shows(Pairing),
        summary="How many events pair with the browser's pixel",
    )
    async def pairing(request: Request, caller: Viewer, slug: Word, hours: Hours = 24) -> Response:
        """Without a shared event id Meta counts a browser's and a server's event as two."""
        return tagged(request, await figures.pairing(caller, slug, hours=hours))

    return router
