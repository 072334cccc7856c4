"""Lanes against a real broker: set and taken away at run time, and drained without losing what they
hold.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from sinal_core.nats import Bus, Lane, Lanes, Message, match_lane

from tests.support.eventually import eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_lanes import RunLanes, fill, queued


async def test_drain_finishes_what_runs_and_gives_back_the_rest(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja", ack_wait_s=300)
    await fill(bus, "loja", 500)
    done: set[bytes] = set()

    async def slow(lane: Lane, messages: list[Message]) -> None:
        await asyncio.sleep(0.3)
        for message in messages:
            done.add(message.body)
            await message.ack()

    worker = Lanes(bus, slow, batch=20, concurrency=1, in_flight=200)
    worker.set([match_lane("loja")])
    task = asyncio.create_task(worker.run())
    await eventually(lambda: len(done) >= 20)
    await worker.drain(60)
    await asyncio.wait_for(task, 60)
    assert await queued(bus) == 500 - len(done)
    others: set[bytes] = set()

    async def quick(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            others.add(message.body)
            await message.ack()

    successor = Lanes(bus, quick, batch=100, concurrency=1, in_flight=200)
    successor.set([match_lane("loja")])
    task = asyncio.create_task(successor.run())
    await eventually(lambda: len(others) + len(done) == 500)  # none has to wait for its ack_wait
    await successor.drain(60)
    await asyncio.wait_for(task, 60)
    assert not others & done


async def test_drain_does_not_wait_for_ever_for_a_handler(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja", ack_wait_s=300)
    await fill(bus, "loja", 5)
    entered = asyncio.Event()

    async def hangs(lane: Lane, messages: list[Message]) -> None:
        entered.set()
        await asyncio.Event().wait()

    worker = Lanes(bus, hangs, batch=5, concurrency=1, in_flight=10)
    worker.set([match_lane("loja")])
    task = asyncio.create_task(worker.run())
    await asyncio.wait_for(entered.wait(), 60)
    await asyncio.wait_for(worker.drain(0.5), 60)
    await asyncio.wait_for(task, 60)
    seen = 0

    async def quick(lane: Lane, messages: list[Message]) -> None:
        nonlocal seen
        seen += len(messages)
        for message in messages:
            await message.ack()

    async with run_lanes(quick, match_lane("loja")):
        await eventually(lambda: seen == 5)


async def test_lanes_come_and_go_at_run_time(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("one")
    await make_tenant("two")
    seen: Counter[str] = Counter()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen[lane.tenant] += 1
            await message.ack()

    async with run_lanes(handler, match_lane("one")) as worker:
        await fill(bus, "one", 10)
        await fill(bus, "two", 10)
        await eventually(lambda: seen == {"one": 10})
        worker.set([match_lane("two")])
        await eventually(lambda: seen == {"one": 10, "two": 10})
        await fill(bus, "one", 40, prefix="later")
        await asyncio.sleep(0.3)
        assert seen == {"one": 10, "two": 10}
        worker.set([match_lane("one"), match_lane("two")])
        await eventually(lambda: seen == {"one": 50, "two": 10})
