"""Routes of events and of the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sinal_api.access import Viewer
from sinal_api.answers import shows, tagged
from sinal_api.filters import ListQuery, Word
from sinal_hub.services.events import EventService
from sinal_hub.services.shapes import EventDetail, Ledger, Page


def routes(events: EventService) -> APIRouter:
    """What became of events."""
    router = APIRouter(prefix="/api/v1", tags=["events"])

    @router.get("/events", responses=shows(Page), summary="Events, newest first")
    async def list_events(
        request: Request, caller: Viewer, query: Annotated[ListQuery, Query()]
    ) -> Response:
        """Filters combine; `cursor` is the `next_cursor` of the page before.

        Attempts and signals are in the detail.
        """
        filters = query.events(query.tenant)
        return tagged(
            request, await events.listed(caller, filters, cursor=query.cursor, limit=query.limit)
        )

    @router.get(
        "/events/{event_id}",
        responses=shows(EventDetail),
        summary="One event: received, matched, delivered",
    )
    async def get_event(request: Request, caller: Viewer, event_id: Word) -> Response:
        """The whole timeline of one event: what was sent and answered, what its match lacked, what
        it waits for.
        """
        return tagged(request, await events.explained(caller, event_id))

    @router.get("/ledger", responses=shows(Ledger), summary="How the accepted events ended")
    async def ledger(request: Request, caller: Viewer, tenant: Word | None = None) -> Response:
        """accepted = delivered + withheld + dead + in_flight."""
        return tagged(request, await events.ledger(caller, tenant))

    return router
