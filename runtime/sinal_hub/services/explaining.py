"""An event's detail with its evidence: the clicks it names, what its match lacked, what its
deliveries wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from sinal_core.postgres.errors import StoreError
from sinal_crds.plan import TenantPlan
from sinal_hub.model.evidence import RunnerUp
from sinal_hub.services import why
from sinal_hub.services.ports import Plans
from sinal_hub.store.evidence import Evidence, EvidenceStore
from sinal_hub.store.reading import Delivery, EventDetail, MatchDetail
from sinal_hub.store.tenant_status import DestinationDelivery as Facts
from sinal_hub.store.tenant_status import DestinationKey, TenantStatusStore

PATIENCE_S = 5.0


class Explainer:
    """Adds to an event what other tables and the plan know of it; raises StoreUnavailable."""

    def __init__(self, evidence: EvidenceStore, facts: TenantStatusStore, plans: Plans) -> None:
        self._evidence, self._facts, self._plans = evidence, facts, plans

    async def explain(self, event: EventDetail) -> EventDetail:
        """The same event with clicks, `why` and `waiting`."""
        now, plan = datetime.now(UTC), self._plans.snapshot.tenants.get(event.tenant)
        clicks = _clicks_of(event.match)
        gave_up = event.outcome.state == "dead" or any(
            one.state == "dead" for one in event.deliveries
        )
        known = await self._evidence.of(
            event.tenant, event.id, funnel=event.funnel, click_ids=clicks, gave_up=gave_up
        )
        lanes = await self._lanes(event)
        return msgspec.structs.replace(
            event,
            match=_with_clicks(event.match, known),
            deliveries=[
                _waiting(one, lanes.get(one.destination), plan, now) for one in event.deliveries
            ],
            why=why.notes(event, known, plan, now),
        )

    async def _lanes(self, event: EventDetail) -> Mapping[str, Facts]:
        """How the destinations do that something waits for.

        Nothing for a login that may not read it.
        """
        lanes = [
            DestinationKey(event.tenant, one.destination)
            for one in event.deliveries
            if one.state in why.WAITING
        ]
        if not lanes:
            return {}
        try:
            # An addition: the event is worth showing without what its destinations do now.
            async with asyncio.timeout(PATIENCE_S):
                return {row.destination: row for row in await self._facts.deliveries(lanes)}
        except (StoreError, TimeoutError):
            return {}


def _waiting(
    delivery: Delivery, facts: Facts | None, plan: TenantPlan | None, now: datetime
) -> Delivery:
    note, next_at = why.waiting(delivery, facts, plan, now)
    return msgspec.structs.replace(delivery, waiting=note, next_at=next_at)


def _clicks_of(match: MatchDetail | None) -> list[str]:
    if match is None:
        return []
    second = match.runner_up.click_id if isinstance(match.runner_up, RunnerUp) else None
    return [click for click in (match.click_id, second) if click]


def _with_clicks(match: MatchDetail | None, known: Evidence) -> MatchDetail | None:
    if match is None:
        return None
    second = match.runner_up.click_id if isinstance(match.runner_up, RunnerUp) else ""
    return msgspec.structs.replace(
        match,
        click=known.clicks.get(match.click_id or ""),
        runner_up_click=known.clicks.get(second),
    )
