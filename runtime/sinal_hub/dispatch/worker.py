"""The handler of the dispatch lanes: from messages to delivered events.

A message only names a row; what it means is decided by the row. A destination that cannot be sent
to holds no worker: its messages are parked for the time to wait, or until its cause is over, and no
attempt is counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import structlog

from sinal_core.aio.breaker import Policy, State
from sinal_core.aio.clock import Clock
from sinal_core.plans.ports import Plans
from sinal_core.settings import LEASE_SHARE, Settings
from sinal_core.telemetry import metrics
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.dispatch import batches
from sinal_hub.dispatch.batches import Inbox
from sinal_hub.dispatch.breaker_report import BreakerReport
from sinal_hub.dispatch.destination_health import POLICY, Circuit, News
from sinal_hub.dispatch.destination_metrics import NO_TOKEN, DestinationMetrics
from sinal_hub.dispatch.ports import Circuits, Graph, Lane, Ledger, Message
from sinal_hub.dispatch.round import SHORT_WAIT_S, Round
from sinal_hub.store.ledger import Ref

log = structlog.get_logger(__name__)

UNUSABLE_S = 15.0  # no plan, no token, suspended: looked at again after that
FOREIGN_S = 60.0
DUE_MARGIN_S = 0.05  # the row must be due when its message returns


def lease_s(settings: Settings) -> float:
    """How long a claim holds: longer than one request may take, shorter than the lanes'
    ack_wait.
    """
    return min(settings.lane_ack_wait_s * LEASE_SHARE, settings.graph_timeout_s * 1.5 + 15.0)


class DispatchWorker:
    """Delivers what the lanes bring.

    One per process, safe for concurrent batches of one destination.
    """

    def __init__(
        self,
        ledger: Ledger,
        plans: Plans,
        graph: Graph,
        settings: Settings,
        *,
        clock: Clock = time,
        policy: Policy = POLICY,
        rng: random.Random | None = None,
        tracer: Tracer | None = None,
        circuits: Circuits | None = None,
        herald: Callable[[str, str, News], None] | None = None,
    ) -> None:
        """`herald` is called with tenant, destination and what the answers to a round say to
        others.
        """
        self._standing = BreakerReport(circuits)
        self._herald = herald
        self._ledger, self._plans, self._graph = ledger, plans, graph
        self._clock = clock
        self._tracer = tracer
        self._policy = policy
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries
        self._lease_s = lease_s(settings)
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._signs: dict[
            tuple[str, str], DestinationMetrics
        ] = {}  # of destinations with a circuit, and of those without a token

    async def handle(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Settle every message; what an exception leaves is given back by the lane."""
        tenant = self._plans.snapshot.tenants.get(lane.tenant)
        destination = None if tenant is None else tenant.destination(lane.key)
        if tenant is None or destination is None or not _usable(tenant, destination):
            if tenant is not None and destination is not None:
                self._show_unusable(tenant, destination)
            await _park(messages, UNUSABLE_S)
            return
        inbox = batches.sort_out(messages)
        await self._bury(lane, inbox.broken)
        for message in inbox.foreign:
            await message.nak(FOREIGN_S)  # maybe to another worker
        await self._deliver(tenant, destination, inbox)

    def _show_unusable(self, tenant: TenantPlan, destination: DestinationPlan) -> None:
        """Without a token a person has to act.

        One that is suspended is at rest, whatever was wrong with it before.
        """
        sign = self._sign((tenant.slug, destination.name))
        if tenant.rests(destination):
            sign.rest()
        else:
            sign.show(State.OPEN, NO_TOKEN)

    def try_now(self, tenant: str, destination: str) -> None:
        """Another process was answered well by a destination: do not wait any longer to try it."""
        circuit = self._circuits.get((tenant, destination))
        if circuit is not None:
            circuit.try_now(self._clock.monotonic())

    async def sweep(self) -> None:
        """Give up rows too old for Meta and forget destinations that are gone.

        Call it every minute or so.
        """
        for tenant, events in (await self._ledger.expire()).items():
            metrics.DEAD_LETTERS.labels(tenant, "too_old").inc(events)
        plans = self._plans.snapshot.tenants.values()
        known = {(t.slug, d.name) for t in plans for d in t.destinations}
        resting = {(t.slug, d.name) for t in plans for d in t.destinations if t.rests(d)}
        for key, circuit in tuple(self._circuits.items()):
            opening = circuit.opening if key in known else None
            await self._standing.say(key, opening, self._clock.monotonic())
        for key in self._signs.keys() - known:
            self._circuits.pop(key, None)
            self._signs.pop(key).take_down()
        for key in self._signs.keys() - resting:
            self._signs[key].rise()

    async def _deliver(
        self, tenant: TenantPlan, destination: DestinationPlan, inbox: Inbox
    ) -> None:
        circuit = self._circuit(tenant, destination)
        todo = list(inbox.rows)
        while todo:
            now = self._clock.monotonic()
            wait_s = circuit.wait_s(now)
            if wait_s > SHORT_WAIT_S:
                await _park([m for ref in todo for m in inbox.rows[ref]], wait_s)
                return
            if wait_s > 0 or not circuit.begin(now):
                await asyncio.sleep(wait_s)
                continue
            size = 1 if circuit.probing(now) else batches.size(destination)
            part, todo = todo[:size], todo[size:]
            await self._round(tenant, destination, circuit, part, inbox)
            news = circuit.news()
            if news is not None and self._herald is not None:
                self._herald(tenant.slug, destination.name, news)
            await self._standing.say(
                (tenant.slug, destination.name), circuit.opening, self._clock.monotonic()
            )

    async def _round(
        self,
        tenant: TenantPlan,
        destination: DestinationPlan,
        circuit: Circuit,
        refs: list[Ref],
        inbox: Inbox,
    ) -> None:
        work = Round(
            tenant,
            destination,
            ledger=self._ledger,
            graph=self._graph,
            circuit=circuit,
            lease_s=self._lease_s,
            clock=self._clock,
            rng=self._rng,
            tracer=self._tracer,
            traces={} if self._tracer is None else _traces(refs, inbox),
        )
        try:
            fates = await work.run(refs)
        except BaseException:
            circuit.release()
            raise
        stopped = circuit.wait_s(self._clock.monotonic()) > SHORT_WAIT_S
        for ref in refs:
            delay_s = fates[ref]
            for message in inbox.rows[ref]:
                if delay_s is None:
                    await message.ack()
                else:
                    await message.hold(delay_s + DUE_MARGIN_S, whole_lane=stopped)

    def _circuit(self, tenant: TenantPlan, destination: DestinationPlan) -> Circuit:
        key = (tenant.slug, destination.name)
        circuit = self._circuits.get(key)
        if circuit is None:
            circuit = self._circuits[key] = Circuit(
                tenant.slug, destination, policy=self._policy, rng=self._rng, sign=self._sign(key)
            )
        circuit.follow(destination, self._clock.monotonic())
        return circuit

    def _sign(self, key: tuple[str, str]) -> DestinationMetrics:
        return self._signs.get(key) or self._signs.setdefault(key, DestinationMetrics(*key))

    async def _bury(self, lane: Lane, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._ledger.bury(
                lane.tenant,
                lane.key,
                body=message.body,
                reason="internal_error",
                detail="the message names no row of the outbox",
                tries=message.deliveries,
            )
            metrics.DEAD_LETTERS.labels(lane.tenant, "internal_error").inc()
            log.error("dispatch.unreadable_message", tenant=lane.tenant, destination=lane.key)
            await message.term()


def _traces(refs: Sequence[Ref], inbox: Inbox) -> dict[Ref, str]:
    """The traces that go on, by row."""
    told = ((ref, message.traceparent) for ref in refs for message in inbox.rows[ref])
    return {ref: trace for ref, trace in told if trace}


def _usable(tenant: TenantPlan, destination: DestinationPlan) -> bool:
    """Whether a round makes sense."""
    return (
        not tenant.rests(destination)
        and destination.problem is None
        and bool(destination.access_token)
    )


async def _park(messages: Sequence[Message], delay_s: float) -> None:
    for message in messages:
        await message.hold(delay_s, whole_lane=True)
