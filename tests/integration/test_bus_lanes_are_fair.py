"""Lanes against a real broker: fair between tenants, full where there is enough, never fuller than
they may be.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from sinal_core.nats import Bus, Lane, Message, Outgoing, dispatch_lane, match_lane
from sinal_crds import names

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_lanes import RunLanes, fill, queued


async def test_every_message_is_delivered_once_and_the_queue_is_empty_then(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 5_000)
    seen: Counter[bytes] = Counter()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        assert lane == match_lane("loja")
        for message in messages:
            assert message.subject == "t.loja.in.click"
            seen[message.body] += 1
            await message.ack()

    async with run_lanes(handler, match_lane("loja")):
        await eventually(lambda: len(seen) == 5_000)
    assert set(seen.values()) == {1}
    assert await queued(bus) == 0


async def test_a_flood_of_one_tenant_does_not_delay_another(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("flood")
    await make_tenant("calm")
    await fill(bus, "flood", 5_000)
    calm, flooded = 0, 0

    async def handler(lane: Lane, messages: list[Message]) -> None:
        nonlocal calm, flooded
        for message in messages:
            await asyncio.sleep(0.001)
            if lane.tenant == "calm":
                calm += 1
            else:
                flooded += 1
            await message.ack()

    async with run_lanes(handler, match_lane("flood"), match_lane("calm"), concurrency=1):
        await eventually(lambda: flooded > 100)
        for n in range(5):
            await bus.publish(names.in_subject("calm", "sale"), b"x", msg_id=str(n))
            await asyncio.sleep(0.2)
        await eventually(lambda: calm == 5)
        assert flooded < 5_000  # the flood was still going on


async def test_a_handler_that_hangs_holds_one_lane_and_no_other(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja", "dispatch-dead", "dispatch-alive")
    for destination in ("dead", "alive"):
        for n in range(200):
            await bus.publish(
                names.out_subject("loja", destination), b"x", msg_id=f"{destination}{n}"
            )
    alive, stuck, together = 0, 0, 0
    release = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        nonlocal alive, stuck, together
        if lane.key == "dead":
            stuck += 1
            together = max(together, stuck)
            await release.wait()
            stuck -= 1
        for message in messages:
            await message.ack()
        alive += len(messages) if lane.key == "alive" else 0

    async with run_lanes(
        handler,
        dispatch_lane("loja", "dead"),
        dispatch_lane("loja", "alive"),
        batch=10,
        concurrency=4,
    ):
        await eventually(lambda: alive == 200)
        assert together == 1
        release.set()


async def test_a_lane_may_have_several_batches_at_once_where_it_says_so(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 60)
    running, most = 0, 0

    async def handler(lane: Lane, messages: list[Message]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        for message in messages:
            await message.ack()

    lane = Lane("loja", names.stream("loja"), "match", "match", batch=5, concurrency=3)
    async with run_lanes(handler, lane, concurrency=8):
        await eventually(lambda: most == 3)
        await asyncio.sleep(0.3)
    assert most == 3


async def test_no_more_than_the_cap_is_in_flight_of_one_lane(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 500)
    release = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        await release.wait()
        for message in messages:
            await message.ack()

    async with run_lanes(handler, match_lane("loja"), in_flight=40, batch=10):
        async with asyncio.timeout(PATIENCE_S):
            while not [depth for depth in await bus.depths() if depth.in_flight]:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        (depth,) = await bus.depths()
        assert 0 < depth.in_flight <= 40
        assert depth.pending + depth.in_flight == 500
        release.set()
        async with asyncio.timeout(60):
            while await queued(bus):
                await asyncio.sleep(0.02)


async def test_a_batch_waits_for_company_but_not_longer_than_it_may(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    batches: list[int] = []
    waits: list[float] = []
    few = [Outgoing(names.in_subject("loja", "click"), b"x", f"few{n}") for n in range(3)]

    async def handler(lane: Lane, messages: list[Message]) -> None:
        batches.append(len(messages))
        for message in messages:
            waits.append(time.time() - message.stored_at_ns / 1e9)
            await message.ack()

    async with run_lanes(handler, match_lane("loja"), linger_s=2, batch=10):
        await bus.publish_many(few)
        await eventually(lambda: batches == [3])
        assert max(waits) > 1
    async with run_lanes(handler, match_lane("loja"), linger_s=600, batch=10):
        await fill(bus, "loja", 10, prefix="many")
        await eventually(lambda: batches == [3, 10])  # a full batch leaves at once


async def test_a_backlog_fills_the_first_batch(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    """Named after a bug: a lane asked for 16 at first, and those waited out their time for company
    that was at hand.
    """
    await make_tenant("loja")
    await fill(bus, "loja", 600)
    sizes: list[int] = []

    async def handler(lane: Lane, messages: list[Message]) -> None:
        sizes.append(len(messages))
        for message in messages:
            await message.ack()

    async with run_lanes(handler, match_lane("loja"), linger_s=60.0, batch=200, in_flight=1_000):
        await eventually(lambda: sum(sizes) == 600)
    assert sizes == [200, 200, 200]


async def test_where_only_full_batches_may_be_further_ones_the_rest_waits_for_the_first(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    started: list[int] = []
    go_on = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        started.append(len(messages))
        await go_on.wait()
        for message in messages:
            await message.ack()

    # one: of more, the first batch would be as many as the first read brought
    await fill(bus, "loja", 1)
    async with run_lanes(handler, match_lane("loja"), batch=10, lane_concurrency=2, only_full=True):
        await eventually(lambda: started == [1])
        await fill(bus, "loja", 7, prefix="more")
        await asyncio.sleep(0.3)
        assert started == [1]  # seven are not a full batch
        await fill(bus, "loja", 3, prefix="rest")
        await eventually(lambda: started == [1, 10])
        go_on.set()
        await fill(bus, "loja", 2, prefix="last")
        await eventually(lambda: sum(started) == 13)
