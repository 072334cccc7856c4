"""Lanes against a real broker: a message is settled once, comes again where it has to, and is
worked on once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from nats.aio.client import Client

from sinal_core.nats import Bus, Lane, Message, match_lane
from sinal_crds import names

from tests.support.eventually import eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_lanes import RunLanes, fill, queued, settled


async def test_what_a_handler_leaves_or_drops_comes_again_later(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 3)
    deliveries: dict[bytes, list[tuple[int, float]]] = {}

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen = deliveries.setdefault(message.body, [])
            seen.append((message.deliveries, time.monotonic()))
            if message.body == b"0" or len(seen) == 2:
                await message.ack()
        if any(message.body == b"1" and message.deliveries == 1 for message in messages):
            raise ValueError("a bug of the handler")

    async with run_lanes(handler, match_lane("loja")):
        await eventually(
            lambda: [len(deliveries.get(b, [])) for b in (b"0", b"1", b"2")] == [1, 2, 2]
        )
    for body in (b"1", b"2"):
        (first, began), (second, again) = deliveries[body]
        assert (first, second) == (1, 2)
        assert 0.7 <= again - began < 30  # not as late as its ack_wait
    assert await queued(bus) == 0


async def test_a_message_is_settled_once(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 1)
    seen = 0

    async def handler(lane: Lane, messages: list[Message]) -> None:
        nonlocal seen
        for message in messages:
            seen += 1
            await message.ack()
            await message.nak()
            await message.term()
            await message.in_progress()

    async with run_lanes(handler, match_lane("loja")):
        await eventually(lambda: seen == 1)
        await asyncio.sleep(0.5)
    assert seen == 1
    assert await queued(bus) == 0


async def test_term_ends_a_message_and_nak_brings_it_back_after_its_delay(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 2)
    times: dict[bytes, list[float]] = {b"0": [], b"1": []}

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            times[message.body].append(time.monotonic())
            if message.body == b"0":
                await message.term()
            elif message.deliveries == 1:
                await message.nak(0.5)
            else:
                await message.ack()

    async with run_lanes(handler, match_lane("loja")):
        await eventually(lambda: len(times[b"1"]) == 2)
    assert len(times[b"0"]) == 1
    assert 0.4 < times[b"1"][1] - times[b"1"][0] < 30  # not as late as its ack_wait
    assert await queued(bus) == 0


async def test_a_handler_slower_than_the_ack_wait_is_not_given_the_message_again(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    # a worker says that it is busy after half of that: a machine may stall for the other half
    ack_wait_s = 6
    await make_tenant("loja", ack_wait_s=ack_wait_s)
    await fill(bus, "loja", 20)
    seen = 0

    async def handler(lane: Lane, messages: list[Message]) -> None:
        nonlocal seen
        seen += len(messages)
        await asyncio.sleep(ack_wait_s + 1)
        for message in messages:
            await message.ack()

    # the second batch of ten waits in the worker meanwhile: it must not be delivered again either
    async with run_lanes(handler, match_lane("loja"), batch=10, ack_wait_s=ack_wait_s):
        await settled(bus)
    assert seen == 20


async def test_a_message_that_is_delivered_again_while_it_is_held_is_worked_on_once(
    bus: Bus, client: Client, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 10)
    seen: Counter[bytes] = Counter()
    release = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        seen.update(message.body for message in messages)
        await release.wait()
        for message in messages:
            await message.ack()

    async with run_lanes(handler, match_lane("loja"), batch=10):
        await eventually(lambda: len(seen) > 0)
        await client.jetstream().delete_consumer(names.stream("loja"), "match")
        # delivers everything that is not acked, so also what is in the handler
        await make_tenant("loja")
        await asyncio.sleep(2)
        release.set()
        await eventually(lambda: len(seen) == 10)
        await asyncio.sleep(0.3)
    assert set(seen.values()) == {1}
    assert await queued(bus) == 0
