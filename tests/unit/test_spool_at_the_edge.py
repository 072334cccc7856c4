"""The edge with a spool: 202 while the broker is away, 503 only when nothing takes the event.

Readiness tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from prometheus_client import REGISTRY

from sinal_core.limiter import LocalLimiter
from sinal_core.nats.errors import BusUnavailable, LaneFull, LaneMissing
from sinal_core.plans.testing import StaticPlans
from sinal_hub.ingest import app
from sinal_hub.ingest.settings import EdgeSettings
from sinal_hub.ingest.testing import Ack, Client, MemoryBus
from sinal_hub.intake.publisher import MAX_SPOOLED
from sinal_hub.model.events import decode_event
from sinal_hub.spool import Detour, SpoolEntry, SpoolLimits
from sinal_hub.spool.circuit import POLICY

from tests.support.eventually import eventually
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, EdgeWorld
from tests.support.fix_spool import SpoolWorld

LEAD, PAGE = "/api/v1/track/lead", {"origin": LANDING}


class Edge:
    """An edge with a spool over a bus in memory."""

    def __init__(self, world: EdgeWorld, spool: SpoolWorld, limits: SpoolLimits) -> None:
        self.bus: MemoryBus = world.bus
        self.detour = Detour(
            spool.folder,
            limits=limits,
            connected=lambda: self.bus.connected,
            publish=self._publish,
            request_provision=self.bus.request_provision,
            tenant_of=spool.tenants.get,
        )
        edge = app.build(
            bus=self.bus,
            plans=StaticPlans(*world.tenants),
            limiter=LocalLimiter(clock=world.clock),
            quarantine=world.quarantine,
            settings=EdgeSettings(),
            detour=self.detour,
            gateways=world.gateways,
            clock=world.clock,
        )
        self.client, self.health = Client(edge), edge.health

    async def _publish(self, entry: SpoolEntry, *, timeout_s: float) -> Ack:
        return await self.bus.publish(
            entry.subject, entry.body, msg_id=entry.msg_id, timeout_s=timeout_s
        )

    def away(self, *, silent: bool = False) -> None:
        self.bus.connected, self.bus.error = silent, BusUnavailable("away")

    def back(self) -> None:
        self.bus.connected, self.bus.error = True, None

    async def lead(self, event_id: str, **fields: object) -> int:
        body = {"funnel": PUBLIC_KEY, "event_id": event_id, **fields}
        return (await self.client.post(LEAD, body, headers=PAGE)).status


@pytest.fixture
def limits() -> SpoolLimits:
    """The room of the edge's spool."""
    return SpoolLimits(free_bytes=0)


@pytest.fixture
async def edge(
    edge_world: EdgeWorld, spool_world: SpoolWorld, limits: SpoolLimits
) -> AsyncIterator[Edge]:
    """A started edge with a spool."""
    made = Edge(edge_world, spool_world, limits)
    await made.detour.start()
    yield made
    await made.detour.stop()


async def test_away_is_202_and_the_return_brings_all_in_order(edge: Edge) -> None:
    edge.away()
    assert {await edge.lead(f"e{number}") for number in range(30)} == {202}
    assert edge.bus.messages == [] and edge.detour.state.records == 30
    edge.back()
    await eventually(lambda: edge.detour.state.records == 0)
    assert await edge.lead("e30") == 202
    assert [event.event_id for event in edge.bus.events] == [f"e{number}" for number in range(31)]


async def test_batch_of_which_some_acks_are_missing_arrives_whole(edge: Edge) -> None:
    seen = 0
    real = edge.bus.publish

    async def flaky(subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0) -> Ack:
        nonlocal seen
        seen += 1
        if seen % 3 == 0:
            raise BusUnavailable("no answer")
        return await real(subject, body, msg_id=msg_id)

    edge.bus.publish = flaky  # type: ignore[method-assign]
    events = [{"type": "pageview", "event_id": f"e{number}"} for number in range(9)]
    reply = await edge.client.post(
        "/api/v1/track/batch", {"funnel": PUBLIC_KEY, "events": events}, headers=PAGE
    )
    assert reply.status == 202
    edge.bus.publish = real  # type: ignore[method-assign]
    await eventually(lambda: edge.detour.state.records == 0)
    assert {event.event_id for event in edge.bus.events} == {f"e{number}" for number in range(9)}


async def test_silent_broker_delays_the_first_requests_only(edge: Edge) -> None:
    waited = 0

    async def never(subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0) -> Ack:
        nonlocal waited
        # probes of what is spooled wait too, and nobody for them
        waited += asyncio.current_task() is sender
        await asyncio.sleep(timeout_s / 20)  # a tenth of a second stands for two
        raise BusUnavailable("no answer")

    async def send() -> None:
        assert {await edge.lead(f"e{number}") for number in range(30)} == {202}

    edge.bus.publish = never  # type: ignore[method-assign]
    sender = asyncio.create_task(send())
    await sender
    assert 1 <= waited <= POLICY.threshold


async def test_readiness_says_that_it_spools(edge: Edge) -> None:
    ready, told = edge.health.standing()
    assert (ready, told["nats"], told["spooling"]) == (True, True, False)
    edge.away()
    await edge.lead("e1")
    ready, told = edge.health.standing()
    assert (ready, told["nats"], told["spooling"]) == (True, False, True)
    assert msgspec.to_builtins(told["spool"])["records"] == 1
    edge.health.observe()
    assert REGISTRY.get_sample_value("sinal_spool_events") == 1


@pytest.mark.parametrize("limits", [SpoolLimits(max_bytes=4_000, free_bytes=0)])
async def test_neither_broker_nor_spool_is_503_and_unready(edge: Edge) -> None:
    edge.away()
    replies = [
        await edge.client.post(LEAD, {"funnel": PUBLIC_KEY, "event_id": f"e{number}"}, headers=PAGE)
        for number in range(30)
    ]
    refused = [reply for reply in replies if reply.status == 503]
    accepted = len(replies) - len(refused)
    assert 1 <= accepted < 30 and all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert not edge.health.standing().ready
    edge.back()
    await eventually(lambda: edge.detour.state.records == 0)
    assert len(edge.bus.events) == accepted
    assert edge.health.standing().ready


async def test_missing_lane_is_spooled_and_asked_for(edge: Edge) -> None:
    edge.bus.error = LaneMissing("T-loja")
    assert await edge.lead("e1") == 202
    assert edge.bus.provisions[0] == "loja"
    edge.bus.error = None
    await eventually(lambda: len(edge.bus.events) == 1)


async def test_full_lane_stays_429(edge: Edge) -> None:
    edge.bus.error = LaneFull("T-loja")
    assert await edge.lead("e1") == 429
    assert edge.detour.state.records == 0


async def test_what_the_broker_would_never_take_is_not_spooled(edge: Edge) -> None:
    edge.away()
    items = [{"id": "x" * 100} for _ in range(100)]
    reply = await edge.client.post(LEAD, {"funnel": PUBLIC_KEY, "items": items}, headers=PAGE)
    assert reply.status == 202 and MAX_SPOOLED > 1_000_000
    edge.back()
    await eventually(lambda: len(edge.bus.messages) == 1)
    assert len(decode_event(edge.bus.messages[0][2]).items) == 100
