"""The depth of each role's queue as it is now: what autoscalers and scrapers are told.

A look at the broker is shared by all who ask within a second, and one that fails is told as a
failure: nobody gets an old figure, or a zero that means "not known".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sinal_core.aio.clock import Clock
from sinal_core.aio.single_flight import SingleFlight
from sinal_core.nats import BusUnavailable, Depth
from sinal_hub.status.surveys import Surveyor

ROLES = ("match", "dispatch")
FRESH_S = 1.0
LOOK_S = 10.0  # of one look, however many tenants there are

Lane = tuple[str, str]  # tenant, role


@dataclass(frozen=True)
class QueueDepth:
    """What waits for a role, of one tenant or of all: messages not done, and when the oldest
    came.
    """

    messages: int = 0
    oldest_at: datetime | None = None

    def with_(self, other: QueueDepth) -> QueueDepth:
        """Both as one."""
        times = [at for at in (self.oldest_at, other.oldest_at) if at is not None]
        return QueueDepth(self.messages + other.messages, min(times, default=None))

    def oldest_s(self, now: float) -> float:
        """Age of the oldest in seconds; 0 of an empty queue."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at.timestamp())


def by_role(depths: Iterable[Depth]) -> dict[Lane, QueueDepth]:
    """The queue of each tenant's role that has any work."""
    found: dict[Lane, QueueDepth] = {}
    for depth in depths:
        if depth.messages:
            lane = (depth.tenant, depth.role)
            found[lane] = found.get(lane, QueueDepth()).with_(
                QueueDepth(depth.messages, depth.oldest_at)
            )
    return found


@dataclass(frozen=True)
class QueueDepths:
    """All queues at one moment."""

    at: float  # wall time
    tenants: frozenset[str]
    lanes: Mapping[Lane, QueueDepth]

    @property
    def moment(self) -> datetime:
        """When it was taken."""
        return datetime.fromtimestamp(self.at, UTC)

    def of_tenant(self, tenant: str, role: str) -> QueueDepth:
        """A tenant's queue of a role; an idle one is empty.

        Raises KeyError for a tenant that there is not.
        """
        if tenant not in self.tenants:
            raise KeyError(tenant)
        return self.lanes.get((tenant, role), QueueDepth())

    def of_role(self, role: str) -> QueueDepth:
        """All tenants' queues of a role as one."""
        total = QueueDepth()
        for (_, lane_role), queue in self.lanes.items():
            if lane_role == role:
                total = total.with_(queue)
        return total


class DepthSource:
    """Reads the depths when they are asked for."""

    def __init__(self, bus: Surveyor, *, clock: Clock = time) -> None:
        self._bus, self._clock = bus, clock
        self._shared = SingleFlight(self._look, clock=clock)

    async def reading(self) -> QueueDepths:
        """The depths of the last second; raises BusError when they can't be read now."""
        return await self._shared.get(within_s=FRESH_S)

    async def _look(self) -> QueueDepths:
        at = self._clock.time()
        try:
            async with asyncio.timeout(LOOK_S):
                survey = await self._bus.survey(ages=True)
        except TimeoutError as error:
            raise BusUnavailable(f"the depths could not be read within {LOOK_S:g} s") from error
        return QueueDepths(at, survey.tenants, by_role(survey.depths))
