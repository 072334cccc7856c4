"""Routes of events and of the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sinal_api.access import Viewer
from sinal_api.answers import shows, tagged
from sinal_api.filters import ListQuery, Word
from sinal_hub.services.explaining import Explainer
from sinal_hub.services.ports import Events
from sinal_hub.services.replays import no_event
from sinal_hub.store.reading import EventDetail, Ledger, Page


def routes(events: Events, explainer: Explainer) -> APIRouter:
    """What became of events."""
    router = APIRouter(prefix="/api/v1", tags=["events"])

    @router.get("/events", responses=shows(Page), summary="Events, newest first")
    async def list_events(
        request: Request, caller: Viewer, query: Annotated[ListQuery, Query()]
    ) -> Response:
        """Filters combine; `cursor` is the `next_cursor` of the page before.

        Attempts and signals are in the detail.
        """
        filters = query.events(caller.scope(query.tenant))
        return tagged(
            request, await events.list_events(filters, cursor=query.cursor, limit=query.limit)
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
        found = await events.get_event(caller.tenant, event_id)
        if found is None:
            raise no_event(event_id)
        return tagged(request, await explainer.explain(found))

    @router.get("/ledger", responses=shows(Ledger), summary="How the accepted events ended")
    async def ledger(request: Request, caller: Viewer, tenant: Word | None = None) -> Response:
        """accepted = delivered + withheld + dead + in_flight."""
        return tagged(request, await events.ledger(caller.scope(tenant)))

    return router
