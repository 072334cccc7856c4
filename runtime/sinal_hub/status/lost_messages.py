"""Deliveries whose message was lost: the row waits, and nothing will ever come for it.

It happens when a broker loses its disk or what its disk had not seen, when somebody purges a
stream, when a worker dies after another has acked for it. There are two proofs. A stream that is
younger than the publication never had the message; that holds for busy lanes too, which may never
be found empty. An empty lane: a work queue keeps a message until it is acked, so a slow or paused
destination always has messages and is left alone. Publishing again is safe: a row is claimed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import structlog

from sinal_core.nats import stream_reader
from sinal_core.plans.ports import Plans
from sinal_core.telemetry import metrics
from sinal_crds import names
from sinal_hub.matching.outbox import publish
from sinal_hub.status.ports import Bus
from sinal_hub.status.surveys import Surveyor
from sinal_hub.store.housekeeping import Birth, HousekeepingStore, StrandedLane
from sinal_hub.store.matching import MatchStore

log = structlog.get_logger(__name__)

IDLE_S = 60.0
# rows of a lane at once; the lane has work then, and the rest has to wait until it is empty
LIMIT = 1_000


class Stranded:
    """Publishes again what nobody will deliver otherwise."""

    def __init__(
        self,
        store: HousekeepingStore,
        outbox: MatchStore,
        bus: Bus,
        plans: Plans,
        *,
        surveys: Surveyor,
        idle_s: float = IDLE_S,
    ) -> None:
        self._store, self._outbox, self._bus, self._plans, self._surveys = (
            store,
            outbox,
            bus,
            plans,
            surveys,
        )
        self._idle_s = idle_s
        # tenant -> birth of the stream that has all of its messages
        self._reborn: dict[str, datetime] = {}

    async def rescue(self) -> int:
        """Look at every lane; returns how many rows were published again.

        Raises BusError, StoreUnavailable.
        """
        births = (await self._surveys.survey()).births
        known = [
            Birth(slug, births[slug]) for slug in self._plans.snapshot.tenants if slug in births
        ]
        fresh = [birth for birth in known if self._reborn.get(birth.tenant) != birth.born]
        return (await self._before(fresh) if fresh else 0) + await self._idle()

    async def _before(self, births: Sequence[Birth]) -> int:
        """Rows from before a stream; its tenant is asked about until none is left."""
        published: Counter[str] = Counter()
        page = LIMIT
        while page == LIMIT:
            rows = await self._store.requeue_lost(births, limit=LIMIT)
            await publish(self._bus, self._outbox, rows)
            for row in rows:
                metrics.STRANDED.labels(row.tenant_id, row.destination).inc()
                published[row.tenant_id] += 1
            page = len(rows)
        for tenant, count in published.items():
            log.warning("stranded.stream_lost", tenant=tenant, rows=count)
        # A row that a worker held was passed over: its tenant is asked about again until none is
        # left.
        left = await self._store.have_lost(births)
        self._reborn |= {birth.tenant: birth.born for birth in births if birth.tenant not in left}
        return published.total()

    async def _idle(self) -> int:
        lanes = [
            StrandedLane(plan.slug, destination.name)
            for plan in self._plans.snapshot.tenants.values()
            for destination in plan.destinations
        ]
        found = await self._store.stranded_lanes(lanes, idle_s=self._idle_s)
        return sum([await self._lane(lane) for lane in found])

    async def _lane(self, lane: StrandedLane) -> int:
        stream, subject = (
            names.stream(lane.tenant),
            names.out_subject(lane.tenant, lane.destination),
        )
        # The stream itself is asked: its consumer may be missing after a restart of NATS, and what
        # it had to give out is still there.
        if await stream_reader.count(self._bus, stream, subject):
            return 0
        rows = await self._store.requeue(lane, idle_s=self._idle_s, limit=LIMIT)
        await publish(self._bus, self._outbox, rows)
        if rows:
            metrics.STRANDED.labels(lane.tenant, lane.destination).inc(len(rows))
            log.warning(
                "stranded.published",
                tenant=lane.tenant,
                destination=lane.destination,
                rows=len(rows),
            )
        return len(rows)
