"""What became of events: lists, one event with its reasons, the ledger."""

from __future__ import annotations

import msgspec

from sinal_hub.services.callers import Caller
from sinal_hub.services.explaining import Explainer
from sinal_hub.services.ports import Events
from sinal_hub.services.replays import no_event
from sinal_hub.store.reading import EventDetail, EventFilter, Ledger, Page


class EventService:
    """Reading events; raises StoreUnavailable, InvalidCursor and errors of services."""

    def __init__(self, events: Events, explainer: Explainer) -> None:
        self._events, self._explainer = events, explainer

    async def listed(
        self, caller: Caller, filters: EventFilter, *, cursor: str | None, limit: int
    ) -> Page:
        """A page, newest first; those of the caller's scope."""
        filters = msgspec.structs.replace(filters, tenant=caller.scope(filters.tenant))
        return await self._events.list_events(filters, cursor=cursor, limit=limit)

    async def explained(self, caller: Caller, event_id: str) -> EventDetail:
        """One event's timeline and reasons."""
        found = await self._events.get_event(caller.tenant, event_id)
        if found is None:
            raise no_event(event_id)
        return await self._explainer.explain(found)

    async def ledger(self, caller: Caller, tenant: str | None) -> Ledger:
        """How the accepted events ended."""
        return await self._events.ledger(caller.scope(tenant))
