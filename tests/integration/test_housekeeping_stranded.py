"""A delivery whose message was lost is delivered all the same, once.

One whose lane has work is left alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from nats.aio.client import Client

from sinal_core.nats import Bus, Lanes, Survey, stream_reader
from sinal_core.outbox.ledger import Ref
from sinal_core.outbox.messages import Pointer
from sinal_core.plans.testing import StaticPlans
from sinal_crds import names
from sinal_hub.model.events import encode
from sinal_hub.status.lost_messages import Stranded
from sinal_hub.store.housekeeping import HousekeepingStore
from sinal_hub.store.matching import MatchStore

from tests.support.fix_bus import MakeTenant
from tests.support.fix_dispatch import DispatchRig

IDLE_S = 60.0
STREAM, SUBJECT = names.stream("loja"), names.out_subject("loja", "principal")


class _LongAgo:
    """Rows of these tests pretend to be older than their stream, which must not be their proof."""

    async def survey(self, *, ages: bool = False) -> Survey:
        return Survey({"loja": datetime(2020, 1, 1, tzinfo=UTC)}, [])


class Loss:
    """Delivery over a real broker that loses messages."""

    def __init__(self, rig: DispatchRig, bus: Bus, client: Client) -> None:
        self.rig, self.bus, self.js = rig, bus, client.jetstream()
        store = HousekeepingStore(rig.database)
        plans = StaticPlans(*rig.plans.tenants.values())
        self.stranded = Stranded(
            store, MatchStore(rig.database), bus, plans, surveys=_LongAgo(), idle_s=IDLE_S
        )

    async def add(self, event_id: str, *, destination: str = "principal") -> Ref:
        """A row as matching makes it: its time has milliseconds only, as the message that
        names it.
        """
        ref = await self.rig.add(event_id, destination=destination)
        self.rig.rows("update capi_events set created_at = date_trunc('milliseconds', created_at)")
        return ref

    async def publish(self, ref: Ref, event_id: str) -> None:
        """As matching would, and time passes."""
        body = encode(Pointer(id=ref.id, created_at=ref.created_ms))
        await self.bus.publish(SUBJECT, body, msg_id=f"{event_id}:principal:0")
        self.rig.rows(
            "update capi_events set published_at = now() - interval '2 minutes' where id = %s",
            ref.id,
        )

    async def lose_all(self) -> None:
        await self.js.purge_stream(STREAM)

    @asynccontextmanager
    async def dispatching(self) -> AsyncIterator[None]:
        lanes = Lanes(self.bus, self.rig.worker.handle, batch=100, concurrency=4, in_flight=100)
        lanes.set([self.rig.lane()])
        task = asyncio.create_task(lanes.run())
        try:
            yield
        finally:
            await lanes.drain(30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def loss(
    dispatch_rig: DispatchRig, bus: Bus, client: Client, make_tenant: MakeTenant
) -> Loss:
    await make_tenant(
        "loja", names.dispatch_consumer("principal"), names.dispatch_consumer("outro")
    )
    return Loss(dispatch_rig, bus, client)


async def _delivered(rig: DispatchRig, ref: Ref) -> None:
    deadline = time.monotonic() + 60
    while rig.row(ref)["status"] != "delivered":
        assert time.monotonic() < deadline, rig.row(ref)
        await asyncio.sleep(0.05)


async def test_a_row_whose_message_was_deleted_is_delivered_once(loss: Loss) -> None:
    ref = await loss.add("lost-1")
    await loss.publish(ref, "lost-1")
    await loss.lose_all()
    async with loss.dispatching():
        assert await loss.stranded.rescue() == 1
        await _delivered(loss.rig, ref)
        assert await loss.stranded.rescue() == 0
    assert [event["event"]["event_id"] for event in await loss.rig.received()] == ["lost-1"]
    assert loss.rig.outcomes(ref) == ["delivered"]


async def test_a_row_in_doubt_is_taken_up_as_one_in_doubt(loss: Loss) -> None:
    ref = await loss.add("doubt-1")
    await loss.publish(ref, "doubt-1")
    await loss.rig.store.claim("loja", "principal", [ref], lease_s=30)
    await loss.lose_all()
    assert await loss.stranded.rescue() == 0  # a worker holds it
    loss.rig.rows("update capi_events set lease_until = now() - interval '2 minutes'")
    async with loss.dispatching():
        assert await loss.stranded.rescue() == 1
        await _delivered(loss.rig, ref)
    assert loss.rig.outcomes(ref) == ["in_doubt", "delivered"]


async def test_a_lane_with_work_is_slow_and_nothing_is_lost(loss: Loss) -> None:
    slow, lost = await loss.add("slow-1"), await loss.add("lost-2", destination="outro")
    loss.rig.rows(
        "update capi_events set published_at = now() - interval '2 minutes' where id = %s", lost.id
    )
    await loss.publish(slow, "slow-1")
    assert await loss.stranded.rescue() == 1  # of the other destination, whose lane is empty
    assert (loss.rig.row(slow)["generation"], loss.rig.row(lost)["generation"]) == (0, 1)
    fetched = await (await loss.js.pull_subscribe_bind("dispatch-principal", STREAM)).fetch(1)
    assert await loss.stranded.rescue() == 0  # delivered to a worker and not acked
    await fetched[0].nak(delay=30)
    assert await loss.stranded.rescue() == 0  # given back for later


async def test_what_is_young_or_not_due_is_left_alone(loss: Loss) -> None:
    later = await loss.add("later")
    loss.rig.rows(
        "update capi_events set published_at = now() - interval '2 minutes',"
        " next_attempt_at = now() + interval '1 hour'"
    )
    young = await loss.add("young")
    loss.rig.rows("update capi_events set published_at = now() where id = %s", young.id)
    assert await loss.stranded.rescue() == 0
    assert loss.rig.row(later)["generation"] == 0


async def test_rows_wait_while_the_broker_has_no_such_stream(loss: Loss) -> None:
    ref = await loss.add("lost-3")
    await loss.publish(ref, "lost-3")
    await loss.js.delete_stream(STREAM)
    assert await loss.stranded.rescue() == 1
    # matching's sweep publishes it once the stream is there
    assert loss.rig.row(ref)["published_at"] is None
    assert await stream_reader.count(loss.bus, STREAM, SUBJECT) == 0
