"""Heartbeats: proof, once a minute, that an event still comes from the broker through matching into
PostgreSQL.

Each is published into a real tenant's own lane, the tenants taking turns, so that it waits where
their events wait. It says nothing of destinations: those prove themselves by delivering. Both ends
are timed by PostgreSQL's clock.
"""

from __future__ import annotations

import itertools
import time
from uuid import uuid4

from sinal_core.plans.ports import Plans
from sinal_core.telemetry import metrics
from sinal_crds import names
from sinal_hub.model.events import Event, encode, event_row_id
from sinal_hub.status.ports import Bus
from sinal_hub.store.housekeeping import HousekeepingStore

MOST_TENANTS = 60  # that take turns: each is heard of once an hour


class Heartbeat:
    """Sends them and shows how the last one did."""

    def __init__(
        self, store: HousekeepingStore, bus: Bus, plans: Plans, *, most: int = MOST_TENANTS
    ) -> None:
        self._store, self._bus, self._plans, self._most = store, bus, plans, most

    async def send(self) -> str | None:
        """Send one into the lane whose turn it is; returns its tenant.

        Raises BusError, StoreUnavailable.
        """
        tenants = list(itertools.islice(self._plans.snapshot.tenants, self._most))
        tenant = await self._store.next_to_beat(tenants)
        if tenant is None:
            return None
        key, now_ms = f"heartbeat:{uuid4()}", time.time_ns() // 1_000_000
        event = Event(
            id=event_row_id(tenant, key),
            key=key,
            kind="heartbeat",
            tenant=tenant,
            funnel="",
            received_at=now_ms,
            occurred_at=now_ms,
            source="internal",
        )
        # Noted before it leaves: matching may have it sooner than the broker's answer is here, and
        # looks for this id.
        await self._store.beat(tenant, event.id)
        await self._bus.publish(names.in_subject(tenant, event.kind), encode(event), msg_id=key)
        return tenant

    async def observe(self) -> None:
        """Show the last one that came through, whoever sent it."""
        last = await self._store.last_beat()
        if last is not None:
            metrics.HEARTBEAT_SECONDS.set(last.seconds)
            metrics.HEARTBEAT_AGE.set(last.age_s)
            metrics.HEARTBEAT_LAST.set(time.time() - last.age_s)
