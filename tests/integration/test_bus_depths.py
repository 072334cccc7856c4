"""Depths: what waits and what is in flight, by lane, for the price of one listing."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client

from sinal_runtime.bus import Bus, Depth, Lane, Lanes, Message, match_lane

from tests.support.eventually import eventually
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

    # A lane holds the batch that runs and one to follow: two of the five are in flight, one is next.
    lanes = Lanes(bus, handler, batch=1, concurrency=1, in_flight=2)
    lanes.set([match_lane("loja")])
    task = asyncio.create_task(lanes.run())
    await asyncio.wait_for(entered.wait(), 5)
    assert sorted(await bus.depths(), key=lambda depth: depth.consumer) == [
        Depth("loja", "dispatch-pixel", 1, 0),
        Depth("loja", "match", 3, 2),
    ]
    release.set()
    await lanes.drain(5)
    await task


async def test_idle_tenants_cost_no_call_each(bus: Bus, make_tenant: MakeTenant, client: Client) -> None:
    for n in range(40):
        await make_tenant(f"idle-{n}")
    await make_tenant("busy")
    await bus.publish("t.busy.in.click", b"x", msg_id="1")
    calls: list[str] = []

    async def seen(message: object) -> None:
        calls.append(message.subject)  # type: ignore[attr-defined]

    await client.subscribe("$JS.API.>", cb=seen)
    await client.flush()
    assert [(depth.tenant, depth.pending) for depth in await bus.depths()] == [("busy", 1)]
    await eventually(lambda: len(calls) == 2)
    assert calls == ["$JS.API.STREAM.LIST", "$JS.API.CONSUMER.LIST.T-busy"]


async def test_streams_that_are_not_tenants_are_left_out(bus: Bus, client: Client) -> None:
    js = client.jetstream()
    for name in ("other", "T-Not_A_Slug"):
        await js.add_stream(name=name, subjects=[f"{name}.>"])
        await js.publish(f"{name}.x", b"x")
    assert await bus.depths() == []
