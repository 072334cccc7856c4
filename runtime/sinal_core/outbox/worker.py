"""The handler of an outbox's lanes: from messages to delivered entries.

A message only names a row; what it means is decided by the row. A destination that cannot be sent
to holds no worker: its messages are parked for the time to wait, or until its cause is over, and no
attempt is counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence, Set
from typing import Generic, TypeVar

import structlog

from sinal_core.aio.breaker import Policy
from sinal_core.aio.clock import Clock
from sinal_core.outbox import messages as sorting
from sinal_core.outbox.breaker_report import BreakerReport
from sinal_core.outbox.health import POLICY, DestinationHealth
from sinal_core.outbox.ledger import INTERNAL_ERROR, E, Ledger, Ref
from sinal_core.outbox.messages import Inbox
from sinal_core.outbox.ports import (
    Circuits,
    Destination,
    Destinations,
    Key,
    Lane,
    Message,
    News,
)
from sinal_core.outbox.round import SHORT_WAIT_S, Round, Spans

log = structlog.get_logger(__name__)

UNUSABLE_S = 15.0  # no plan, no token, suspended: looked at again after that
FOREIGN_S = 60.0
DUE_MARGIN_S = 0.05  # the row must be due when its message returns

P = TypeVar("P")


class OutboxWorker(Generic[E, P]):
    """Delivers what the lanes bring.

    One per process and product, safe for concurrent batches of one destination.
    """

    def __init__(
        self,
        ledger: Ledger[E],
        destinations: Destinations[E, P],
        *,
        lease_s: float,
        clock: Clock = time,
        policy: Policy = POLICY,
        rng: random.Random | None = None,
        spans: Spans | None = None,
        circuits: Circuits | None = None,
        herald: Callable[[str, str, News], None] | None = None,
    ) -> None:
        """`lease_s` is longer than a request may take and shorter than the lanes' ack_wait.

        `herald` is called with tenant, destination and what the answers to a round say to others.
        """
        self._ledger, self._destinations, self._lease_s = ledger, destinations, lease_s
        self._clock, self._policy, self._spans = clock, policy, spans
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries
        self._report = BreakerReport(circuits)
        self._herald = herald
        self._health: dict[Key, DestinationHealth] = {}

    async def handle(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Settle every message; what an exception leaves is given back by the lane."""
        key = (lane.tenant, lane.key)
        destination = self._destinations.usable(*key)
        if destination is None:
            await _park(messages, UNUSABLE_S)
            return
        inbox = sorting.sort_out(messages)
        await self._bury(key, destination, inbox.broken)
        for message in inbox.foreign:
            await message.nak(FOREIGN_S)  # maybe to another worker
        await self._deliver(key, destination, inbox)

    def try_now(self, tenant: str, destination: str) -> None:
        """Another process was answered well by a destination: do not wait any longer to try it."""
        health = self._health.get((tenant, destination))
        if health is not None:
            health.try_now(self._clock.monotonic())

    async def sweep(self, known: Set[Key]) -> dict[str, int]:
        """Give up entries that waited for too long, and forget destinations that are not `known`.

        Returns how many were given up, by tenant. Call it every minute or so.
        """
        expired = await self._ledger.expire()
        for key, health in tuple(self._health.items()):
            opening = health.opening if key in known else None
            await self._report.say(key, opening, self._clock.monotonic())
        for key in self._health.keys() - known:
            del self._health[key]
        return expired

    async def _deliver(
        self, key: Key, destination: Destination[E, P], inbox: Inbox[Message]
    ) -> None:
        health = self._healthy(key, destination)
        todo = list(inbox.rows)
        while todo:
            now = self._clock.monotonic()
            wait_s = health.wait_s(now)
            if wait_s > SHORT_WAIT_S:
                await _park([m for ref in todo for m in inbox.rows[ref]], wait_s)
                return
            if wait_s > 0 or not health.begin(now):
                await asyncio.sleep(wait_s)
                continue
            size = 1 if health.probing(now) else destination.terms.most
            part, todo = todo[:size], todo[size:]
            await self._round(key, destination, health, part, inbox)
            news = health.news()
            if news is not None and self._herald is not None:
                self._herald(*key, news)
            await self._report.say(key, health.opening, self._clock.monotonic())

    async def _round(
        self,
        key: Key,
        destination: Destination[E, P],
        health: DestinationHealth,
        refs: list[Ref],
        inbox: Inbox[Message],
    ) -> None:
        work = Round(
            key,
            destination,
            ledger=self._ledger,
            health=health,
            lease_s=self._lease_s,
            clock=self._clock,
            rng=self._rng,
            spans=self._spans,
            traces={} if self._spans is None else _traces(refs, inbox),
        )
        try:
            fates = await work.run(refs)
        # a cancellation as well: a probe that nobody reports keeps others out for its whole
        # time-out
        except BaseException:
            health.release()
            raise
        # Then the lane asks the broker for no more, so that the rest of its backlog keeps its
        # sequence there.
        stopped = health.wait_s(self._clock.monotonic()) > SHORT_WAIT_S
        for ref in refs:
            delay_s = fates[ref]
            for message in inbox.rows[ref]:
                if delay_s is None:
                    await message.ack()
                else:
                    await message.hold(delay_s + DUE_MARGIN_S, whole_lane=stopped)

    def _healthy(self, key: Key, destination: Destination[E, P]) -> DestinationHealth:
        health = self._health.get(key)
        if health is None:
            health = self._health[key] = DestinationHealth(
                key,
                destination.terms,
                policy=self._policy,
                rng=self._rng,
                gauge=destination.metrics,
            )
        health.follow(destination.terms, self._clock.monotonic())
        return health

    async def _bury(
        self, key: Key, destination: Destination[E, P], messages: Sequence[Message]
    ) -> None:
        for message in messages:
            await self._ledger.bury(
                *key,
                body=message.body,
                reason=INTERNAL_ERROR,
                detail="the message names no row of the outbox",
                tries=message.deliveries,
            )
            destination.metrics.settled({}, {INTERNAL_ERROR: 1}, (), self._clock.time())
            log.error("dispatch.unreadable_message", tenant=key[0], destination=key[1])
            await message.term()


def _traces(refs: Sequence[Ref], inbox: Inbox[Message]) -> dict[Ref, str]:
    """The traces that go on, by row."""
    told = ((ref, message.traceparent) for ref in refs for message in inbox.rows[ref])
    return {ref: trace for ref, trace in told if trace}


async def _park(messages: Sequence[Message], delay_s: float) -> None:
    for message in messages:
        await message.hold(delay_s, whole_lane=True)
