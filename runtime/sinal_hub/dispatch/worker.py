"""The handler of the dispatch lanes: which destinations of Meta can be sent to now, and the outbox's
worker that sends to them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from sinal_core.aio.breaker import BreakerState, Policy
from sinal_core.aio.clock import Clock
from sinal_core.outbox.health import POLICY
from sinal_core.outbox.ledger import TOO_OLD, Ledger
from sinal_core.outbox.ports import Circuits, Key, Lane, Message, News
from sinal_core.outbox.round import Spans
from sinal_core.outbox.worker import OutboxWorker
from sinal_core.plans.ports import Plans
from sinal_core.telemetry import metrics
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.dispatch.destination_metrics import NO_TOKEN, DestinationMetrics
from sinal_hub.dispatch.meta_destination import Graph, MetaDestination, Payload
from sinal_hub.dispatch.settings import LEASE_SHARE, DeliverySettings
from sinal_hub.store.delivery_rows import Row


def lease_s(settings: DeliverySettings) -> float:
    """How long a claim holds: longer than one request may take, shorter than the lanes'
    ack_wait.
    """
    return min(settings.lane_ack_wait_s * LEASE_SHARE, settings.graph_timeout_s * 1.5 + 15.0)


class MetaDestinations:
    """The destinations of all plans, and the metrics of each."""

    def __init__(self, plans: Plans, graph: Graph, *, clock: Clock) -> None:
        self._plans, self._graph, self._clock = plans, graph, clock
        # of destinations that were sent to, and of those without a token
        self._metrics: dict[Key, DestinationMetrics] = {}

    def usable(self, tenant: str, name: str) -> MetaDestination | None:
        """One with a plan, a token and nobody who suspended it."""
        plan = self._plans.snapshot.tenants.get(tenant)
        destination = None if plan is None else plan.destination(name)
        if plan is None or destination is None:
            return None
        shown = self._of((tenant, name))
        if not _usable(plan, destination):
            _show_unusable(plan, destination, shown)
            return None
        return MetaDestination(
            plan, destination, graph=self._graph, metrics=shown, clock=self._clock
        )

    def known(self) -> set[Key]:
        """All that a plan names."""
        plans = self._plans.snapshot.tenants.values()
        return {(tenant.slug, one.name) for tenant in plans for one in tenant.destinations}

    def tidy(self) -> None:
        """Take down the metrics of destinations that are gone, and show those that are suspended no
        more.
        """
        for key in self._metrics.keys() - self.known():
            self._metrics.pop(key).take_down()
        plans = self._plans.snapshot.tenants.values()
        resting = {(t.slug, d.name) for t in plans for d in t.destinations if t.rests(d)}
        for key in self._metrics.keys() - resting:
            self._metrics[key].rise()

    def _of(self, key: Key) -> DestinationMetrics:
        return self._metrics.get(key) or self._metrics.setdefault(key, DestinationMetrics(*key))


class DispatchWorker:
    """Delivers what the lanes bring.

    One per process, safe for concurrent batches of one destination.
    """

    def __init__(
        self,
        ledger: Ledger[Row],
        plans: Plans,
        graph: Graph,
        settings: DeliverySettings,
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
        self._destinations = MetaDestinations(plans, graph, clock=clock)
        spans = (
            None
            if tracer is None
            else Spans(tracer, "dispatch.request", "dispatch.event", entries="events")
        )
        self._worker: OutboxWorker[Row, Payload] = OutboxWorker(
            ledger,
            self._destinations,
            lease_s=lease_s(settings),
            clock=clock,
            policy=policy,
            rng=rng,
            spans=spans,
            circuits=circuits,
            herald=herald,
        )

    async def handle(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Settle every message; what an exception leaves is given back by the lane."""
        await self._worker.handle(lane, messages)

    def try_now(self, tenant: str, destination: str) -> None:
        """Another process was answered well by a destination: do not wait any longer to try it."""
        self._worker.try_now(tenant, destination)

    async def sweep(self) -> None:
        """Give up rows too old for Meta and forget destinations that are gone.

        Call it every minute or so.
        """
        for tenant, events in (await self._worker.sweep(self._destinations.known())).items():
            metrics.DEAD_LETTERS.labels(tenant, TOO_OLD).inc(events)
        self._destinations.tidy()


def _usable(tenant: TenantPlan, destination: DestinationPlan) -> bool:
    """Whether a round makes sense."""
    return (
        not tenant.rests(destination)
        and destination.problem is None
        and bool(destination.access_token)
    )


def _show_unusable(
    tenant: TenantPlan, destination: DestinationPlan, shown: DestinationMetrics
) -> None:
    """Without a token a person has to act.

    One that is suspended is at rest, whatever was wrong with it before.
    """
    if tenant.rests(destination):
        shown.rest()
    else:
        shown.show(BreakerState.OPEN, NO_TOKEN)
