"""How much waits in each tenant's lanes and for how long, as metrics.

A lane that was seen with work and is empty now shows 0; one whose tenant is gone disappears. While
the broker is away the last figures stay: to an autoscaler, no figure and no work must not look the
same.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from sinal_core.aio.clock import WallClock
from sinal_core.plans.ports import Plans
from sinal_core.telemetry import metrics
from sinal_crds.plan import TenantPlan
from sinal_hub.status.depths import Lane, QueueDepth, by_role
from sinal_hub.status.surveys import Surveyor


class Queues:
    """Keeps the metrics of all lanes."""

    def __init__(self, bus: Surveyor, plans: Plans, *, clock: WallClock = time) -> None:
        self._bus, self._plans, self._clock = bus, plans, clock
        self._shown: dict[Lane, QueueDepth] = {}
        self._resting: set[str] = set()

    async def look(self) -> None:
        """Read the depths and show them; raises BusError."""
        waiting, now = by_role((await self._bus.survey(ages=True)).depths), self._clock.time()
        # Figures stay while the broker is away: by this time an alert sees that they are old.
        metrics.QUEUE_READ.set(now)
        self._forget(self._plans.snapshot.tenants)
        self._rest(self._plans.snapshot.tenants)
        emptied = {
            lane: QueueDepth()
            for lane, queue in self._shown.items()
            if queue.messages and lane not in waiting
        }
        for lane, queue in sorted((waiting | emptied).items()):
            metrics.QUEUE_DEPTH.labels(*lane).set(queue.messages)
            metrics.QUEUE_OLDEST_SECONDS.labels(*lane).set(queue.oldest_s(now))
            self._shown[lane] = queue

    def _forget(self, known: Collection[str]) -> None:
        for lane in [lane for lane in self._shown if lane[0] not in known]:
            del self._shown[lane]
            metrics.QUEUE_DEPTH.remove(*lane)
            metrics.QUEUE_OLDEST_SECONDS.remove(*lane)

    def _rest(self, plans: Mapping[str, TenantPlan]) -> None:
        """Whose messages may wait because somebody said so."""
        counts = {slug: sum(map(plan.refuses, plan.integrations)) for slug, plan in plans.items()}
        resting = {slug for slug, count in counts.items() if count}
        for slug in self._resting - resting:
            metrics.INTEGRATIONS_SUSPENDED.remove(slug)
        for slug in resting:
            metrics.INTEGRATIONS_SUSPENDED.labels(slug).set(counts[slug])
        self._resting = resting
