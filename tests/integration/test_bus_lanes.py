"""Lanes against a real broker: fair between tenants, nothing lost, settled once, and back by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from nats.aio.client import Client

from sinal_crds import names
from sinal_runtime.bus import Bus, Lane, Lanes, Message, Outgoing, Published, dispatch_lane, match_lane, pulls
from sinal_runtime.bus.lanes import Handler

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_bus import MakeTenant
from tests.support.nats_process import NatsProcess

Start = Callable[..., contextlib.AbstractAsyncContextManager[Lanes]]


@pytest.fixture
def start(bus: Bus) -> Start:
    """Run lanes for the length of a block."""

    @contextlib.asynccontextmanager
    async def running(handler: Handler, *lanes: Lane, **options: float) -> AsyncIterator[Lanes]:
        settings: dict[str, float] = {"batch": 50, "concurrency": 2, "in_flight": 1_000} | options
        worker = Lanes(bus, handler, **settings)  # type: ignore[arg-type]
        worker.set(lanes)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.drain(60)
            await asyncio.wait_for(task, 60)

    return running


async def fill(bus: Bus, slug: str, count: int, *, prefix: str = "") -> None:
    """Publish numbered events of a tenant."""
    subject = names.in_subject(slug, "click")
    for start in range(0, count, 1_000):
        numbers = range(start, min(start + 1_000, count))
        results = await bus.publish_many([Outgoing(subject, str(n).encode(), f"{prefix}{n}") for n in numbers])
        assert all(isinstance(result, Published) for result in results)


async def queued(bus: Bus) -> int:
    """Messages that any lane still has."""
    return sum(depth.pending + depth.in_flight for depth in await bus.depths())


async def test_every_message_is_delivered_once_and_the_queue_is_empty_then(
    bus: Bus, make_tenant: MakeTenant, start: Start
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

    async with start(handler, match_lane("loja")):
        await eventually(lambda: len(seen) == 5_000)
    assert set(seen.values()) == {1}
    assert await queued(bus) == 0


async def test_a_flood_of_one_tenant_does_not_delay_another(bus: Bus, make_tenant: MakeTenant, start: Start) -> None:
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

    async with start(handler, match_lane("flood"), match_lane("calm"), concurrency=1):
        await eventually(lambda: flooded > 100)
        for n in range(5):
            await bus.publish(names.in_subject("calm", "sale"), b"x", msg_id=str(n))
            await asyncio.sleep(0.2)
        await eventually(lambda: calm == 5)
        assert flooded < 5_000  # the flood was still going on


async def test_a_handler_that_hangs_holds_one_lane_and_no_other(
    bus: Bus, make_tenant: MakeTenant, start: Start
) -> None:
    await make_tenant("loja", "dispatch-dead", "dispatch-alive")
    for destination in ("dead", "alive"):
        for n in range(200):
            await bus.publish(names.out_subject("loja", destination), b"x", msg_id=f"{destination}{n}")
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

    async with start(handler, dispatch_lane("loja", "dead"), dispatch_lane("loja", "alive"), batch=10, concurrency=4):
        await eventually(lambda: alive == 200)
        assert together == 1
        release.set()


async def test_a_lane_may_have_several_batches_at_once_where_it_says_so(
    bus: Bus, make_tenant: MakeTenant, start: Start
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
    async with start(handler, lane, concurrency=8):
        await eventually(lambda: most == 3)
        await asyncio.sleep(0.3)
    assert most == 3


async def test_what_a_handler_leaves_or_drops_comes_again_later(
    bus: Bus, make_tenant: MakeTenant, start: Start
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

    async with start(handler, match_lane("loja")):
        await eventually(lambda: [len(deliveries.get(b, [])) for b in (b"0", b"1", b"2")] == [1, 2, 2])
    for body in (b"1", b"2"):
        (first, began), (second, again) = deliveries[body]
        assert (first, second) == (1, 2)
        assert 0.7 <= again - began < 30  # not as late as its ack_wait
    assert await queued(bus) == 0


async def test_a_message_is_settled_once(bus: Bus, make_tenant: MakeTenant, start: Start) -> None:
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

    async with start(handler, match_lane("loja")):
        await eventually(lambda: seen == 1)
        await asyncio.sleep(0.5)
    assert seen == 1
    assert await queued(bus) == 0


async def test_term_ends_a_message_and_nak_brings_it_back_after_its_delay(
    bus: Bus, make_tenant: MakeTenant, start: Start
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

    async with start(handler, match_lane("loja")):
        await eventually(lambda: len(times[b"1"]) == 2)
    assert len(times[b"0"]) == 1
    assert 0.4 < times[b"1"][1] - times[b"1"][0] < 30  # not as late as its ack_wait
    assert await queued(bus) == 0


async def test_a_handler_slower_than_the_ack_wait_is_not_given_the_message_again(
    bus: Bus, make_tenant: MakeTenant, start: Start
) -> None:
    await make_tenant("loja", ack_wait_s=2)
    await fill(bus, "loja", 20)
    seen = 0

    async def handler(lane: Lane, messages: list[Message]) -> None:
        nonlocal seen
        seen += len(messages)
        await asyncio.sleep(4)
        for message in messages:
            await message.ack()

    # the second batch of ten waits in the worker meanwhile: it must not be delivered again either
    async with start(handler, match_lane("loja"), batch=10, ack_wait_s=2):
        await eventually(lambda: seen == 20)
        await asyncio.sleep(4)
    assert seen == 20
    assert await queued(bus) == 0


async def test_no_more_than_the_cap_is_in_flight_of_one_lane(bus: Bus, make_tenant: MakeTenant, start: Start) -> None:
    await make_tenant("loja")
    await fill(bus, "loja", 500)
    release = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        await release.wait()
        for message in messages:
            await message.ack()

    async with start(handler, match_lane("loja"), in_flight=40, batch=10):
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
    bus: Bus, make_tenant: MakeTenant, start: Start
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

    async with start(handler, match_lane("loja"), linger_s=2, batch=10):
        await bus.publish_many(few)
        await eventually(lambda: batches == [3])
        assert max(waits) > 1
    async with start(handler, match_lane("loja"), linger_s=600, batch=10):
        await fill(bus, "loja", 10, prefix="many")
        await eventually(lambda: batches == [3, 10])  # a full batch leaves at once


async def test_drain_finishes_what_runs_and_gives_back_the_rest(bus: Bus, make_tenant: MakeTenant) -> None:
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


async def test_drain_does_not_wait_for_ever_for_a_handler(bus: Bus, make_tenant: MakeTenant, start: Start) -> None:
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

    async with start(quick, match_lane("loja")):
        await eventually(lambda: seen == 5)


async def test_lanes_come_and_go_at_run_time(bus: Bus, make_tenant: MakeTenant, start: Start) -> None:
    await make_tenant("one")
    await make_tenant("two")
    seen: Counter[str] = Counter()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen[lane.tenant] += 1
            await message.ack()

    async with start(handler, match_lane("one")) as worker:
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


@pytest.mark.parametrize("how", ["restart", "kill -9", "wipe"])
async def test_lanes_recover_from_the_loss_of_the_broker(
    bus: Bus, client: Client, make_tenant: MakeTenant, start: Start, nats_server: NatsProcess, how: str
) -> None:
    await make_tenant("loja")
    seen: set[bytes] = set()
    asked: set[bytes] = set()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen.add(message.body)
            await message.ack()

    async def wanted(message: object) -> None:
        asked.add(message.data)  # type: ignore[attr-defined]

    await client.subscribe(names.PROVISION_SUBJECT, cb=wanted)
    async with start(handler, match_lane("loja")):
        await bus.publish(names.in_subject("loja", "click"), b"before", msg_id="1")
        await eventually(lambda: seen == {b"before"})
        if how == "wipe":
            await asyncio.to_thread(nats_server.wipe)
        elif how == "restart":
            await asyncio.to_thread(nats_server.restart)
        else:
            nats_server.kill()
            await asyncio.to_thread(nats_server.start)
        await eventually(lambda: b"loja" in asked)
        await make_tenant("loja")
        await bus.publish(names.in_subject("loja", "click"), b"after", msg_id="2")
        await eventually(lambda: b"after" in seen, timeout_s=pulls.EXPIRES_S / 2)  # nothing waits for a pull to end


async def test_a_backlog_fills_the_first_batch(bus: Bus, make_tenant: MakeTenant, start: Start) -> None:
    """Named after a bug: a lane asked for 16 at first, and those waited out their time for company that was at hand."""
    await make_tenant("loja")
    await fill(bus, "loja", 600)
    sizes: list[int] = []

    async def handler(lane: Lane, messages: list[Message]) -> None:
        sizes.append(len(messages))
        for message in messages:
            await message.ack()

    async with start(handler, match_lane("loja"), linger_s=60.0, batch=200, in_flight=1_000):
        await eventually(lambda: sum(sizes) == 600)
    assert sizes == [200, 200, 200]


async def test_a_deleted_consumer_is_asked_for_and_taken_up_again(
    bus: Bus, client: Client, make_tenant: MakeTenant, start: Start
) -> None:
    await make_tenant("loja")
    seen: list[bytes] = []  # the first may come again: its ack may have met no consumer any more

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen.append(message.body)
            await message.ack()

    asked = await client.subscribe(names.PROVISION_SUBJECT)
    await client.flush()
    async with start(handler, match_lane("loja")):
        await fill(bus, "loja", 1)
        await eventually(lambda: len(seen) == 1)
        await client.jetstream().delete_consumer(names.stream("loja"), "match")
        assert (await asked.next_msg(timeout=60)).data == b"loja"
        await make_tenant("loja")
        await bus.publish(names.in_subject("loja", "click"), b"again", msg_id="again")
        await eventually(lambda: b"again" in seen)


async def test_an_ack_from_before_a_wipe_does_not_take_away_a_new_message(
    bus: Bus, make_tenant: MakeTenant, start: Start, nats_server: NatsProcess
) -> None:
    await make_tenant("loja")
    entered, release = asyncio.Event(), asyncio.Event()
    bodies: list[bytes] = []

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            bodies.append(message.body)
            if message.body == b"old":
                entered.set()
                await release.wait()
                await message.ack()
            # the new one is left on purpose: only its own answer may settle it

    async with start(handler, match_lane("loja"), concurrency=2) as worker:
        assert worker
        await bus.publish(names.in_subject("loja", "click"), b"old", msg_id="1")
        await asyncio.wait_for(entered.wait(), 60)
        await asyncio.to_thread(nats_server.wipe)
        await eventually(lambda: bus.connected)
        await make_tenant("loja")
        stored = await bus.publish(names.in_subject("loja", "click"), b"new", msg_id="2")
        assert stored.seq == 1  # the same sequence as the old one's

        async def in_flight() -> bool:
            return [depth.in_flight for depth in await bus.depths()] == [1]

        async with asyncio.timeout(60):
            while not await in_flight():
                await asyncio.sleep(0.05)
        release.set()
        await eventually(lambda: bodies.count(b"new") == 2)


async def test_a_dropped_connection_to_the_same_broker_costs_no_second_delivery(
    bus: Bus, make_tenant: MakeTenant, start: Start
) -> None:
    await make_tenant("loja", ack_wait_s=5)
    await fill(bus, "loja", 40)
    seen: Counter[bytes] = Counter()
    release = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        seen.update(message.body for message in messages)
        await release.wait()
        for message in messages:
            await message.ack()

    async with start(handler, match_lane("loja"), batch=10, ack_wait_s=5):
        await eventually(lambda: len(seen) > 0)
        await bus.link.client.force_reconnect()
        await eventually(lambda: bus.connected)
        release.set()
        await eventually(lambda: len(seen) == 40)
        await asyncio.sleep(5.5)
    assert set(seen.values()) == {1}
    assert await queued(bus) == 0


async def test_a_message_that_is_delivered_again_while_it_is_held_is_worked_on_once(
    bus: Bus, client: Client, make_tenant: MakeTenant, start: Start
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

    async with start(handler, match_lane("loja"), batch=10):
        await eventually(lambda: len(seen) > 0)
        await client.jetstream().delete_consumer(names.stream("loja"), "match")
        await make_tenant("loja")  # delivers everything that is not acked, so also what is in the handler
        await asyncio.sleep(2)
        release.set()
        await eventually(lambda: len(seen) == 10)
        await asyncio.sleep(0.3)
    assert set(seen.values()) == {1}
    assert await queued(bus) == 0
