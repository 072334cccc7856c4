"""Depths: what waits and what is in flight, by lane, for the price of one listing."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client

from sinal_core.nats import Bus, Depth, Lane, Lanes, Message, match_lane
from sinal_crds import names

from tests.support.eventually import PATIENCE_S
from tests.support.fix_bus import MakeTenant


async def test_pending_and_in_flight_are_told_apart(bus: Bus, make_tenant: MakeTenant) -> None:
    await make_tenant("loja", "match", "dispatch-pixel")
    await make_tenant("idle")
    for n in range(5):
        await bus.publish("t.loja.in.click", b"x", msg_id=str(n))
    await bus.publish("t.loja.out.pixel", b"x", msg_id="out")
    entered, release = asyncio.Event(), asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        entered.set()
        await release.wait()
        for message in messages:
            await message.ack()

    # A lane holds the batch that runs and one to follow: two of the five are in flight, one is
    # next.
    lanes = Lanes(bus, handler, batch=1, concurrency=1, in_flight=2)
    lanes.set([match_lane("loja")])
    task = asyncio.create_task(lanes.run())
    await asyncio.wait_for(entered.wait(), 60)
    wanted = [Depth("loja", "dispatch-pixel", 1, 0), Depth("loja", "match", 3, 2)]
    async with asyncio.timeout(60):
        while sorted(await bus.depths(), key=lambda depth: depth.consumer) != wanted:
            await asyncio.sleep(0.05)
    release.set()
    await lanes.drain(60)
    await task


async def test_idle_tenants_cost_no_call_each(
    bus: Bus, make_tenant: MakeTenant, client: Client
) -> None:
    for n in range(40):
        await make_tenant(f"idle-{n}")
    await make_tenant("busy")
    await bus.publish("t.busy.in.click", b"x", msg_id="1")
    calls: list[str] = []

    async def seen(message: object) -> None:
        calls.append(message.subject)  # type: ignore[attr-defined]

    await client.subscribe("$JS.API.>", cb=seen)
    await client.flush()
    async with asyncio.timeout(PATIENCE_S):
        # one who listens may have lost its connection meanwhile
        while "$JS.API.CONSUMER.LIST.T-busy" not in calls:
            assert [(depth.tenant, depth.pending) for depth in await bus.depths()] == [("busy", 1)]
            await client.flush()
    assert {call for call in calls if "T-" in call} == {"$JS.API.CONSUMER.LIST.T-busy"}
    assert len(calls) < 40, calls


async def test_streams_that_are_not_tenants_are_left_out(bus: Bus, client: Client) -> None:
    js = client.jetstream()
    for name in ("other", "T-Not_A_Slug"):
        await js.add_stream(name=name, subjects=[f"{name}.>"])
        await js.publish(f"{name}.x", b"x")
    assert await bus.depths() == []


async def test_what_ran_into_a_limit_of_deliveries_still_waits(
    bus: Bus, make_tenant: MakeTenant, client: Client
) -> None:
    await make_tenant("loja", "match", "dispatch-pixel")
    js = client.jetstream()
    config = (await js.consumer_info("T-loja", "match")).config
    await js.add_consumer("T-loja", config.evolve(max_deliver=1, ack_wait=0.2))
    for n in range(3):
        await bus.publish("t.loja.in.click", b"x", msg_id=str(n))
    await bus.publish("t.loja.out.pixel", b"x", msg_id="out")
    pulling = await js.pull_subscribe_bind("match", stream="T-loja")
    assert len(await pulling.fetch(2, timeout=60)) == 2

    async def found() -> list[Depth]:
        return sorted(await bus.depths(), key=lambda depth: depth.consumer)

    wanted = [Depth("loja", "dispatch-pixel", 1, 0), Depth("loja", "match", 1, 0, None, 2)]
    async with asyncio.timeout(60):
        while await found() != wanted:
            await asyncio.sleep(0.05)
    assert sum(depth.messages for depth in wanted) == 4


async def test_a_queue_whose_consumers_are_gone_is_not_empty(
    bus: Bus, make_tenant: MakeTenant, client: Client
) -> None:
    await make_tenant("loja", "match", "dispatch-pixel")
    for n in range(3):
        await bus.publish(f"t.loja.in.{'click' if n else 'sale'}", b"x", msg_id=str(n))
    await bus.publish("t.loja.out.pixel", b"x", msg_id="out")
    for consumer in ("match", "dispatch-pixel"):
        await client.jetstream().delete_consumer("T-loja", consumer)
    found = sorted(await bus.depths(ages=True), key=lambda depth: depth.consumer)
    assert [(depth.consumer, depth.role, depth.messages) for depth in found] == [
        ("dispatch-pixel", "dispatch", 1),
        ("match", "match", 3),
    ]
    assert all(depth.oldest_at is not None for depth in found)


async def test_a_queue_that_is_retained_for_later_is_nobodys_work(
    bus: Bus, make_tenant: MakeTenant, client: Client
) -> None:
    await make_tenant("loja")
    await bus.publish("t.loja.in.click", b"x", msg_id="1")
    js = client.jetstream()
    config = (await js.stream_info("T-loja")).config
    await js.update_stream(config.evolve(metadata={names.OWNER: f"{names.RETAINED}shop/loja"}))
    found = await bus.survey()
    assert (found.births, list(found.depths)) == ({}, [])
