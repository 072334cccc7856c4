"""Lanes against a real broker that restarts, forgets or drops them: they are back by themselves."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from sinal_core.nats import Bus, Lane, Message, match_lane, pulls
from sinal_crds import names

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_lanes import RunLanes, fill, settled
from tests.support.nats_process import NatsProcess

_REQUESTS = f"$JS.API.CONSUMER.MSG.NEXT.{names.stream('loja')}.match"


@pytest.mark.parametrize("how", ["restart", "kill -9", "wipe"])
async def test_lanes_recover_from_the_loss_of_the_broker(
    bus: Bus,
    client: Client,
    make_tenant: MakeTenant,
    run_lanes: RunLanes,
    nats_server: NatsProcess,
    how: str,
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
    async with run_lanes(handler, match_lane("loja")):
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
        await eventually(
            lambda: b"after" in seen, timeout_s=pulls.BUSY.expires_s / 2
        )  # nothing waits for a pull to end


async def test_a_deleted_consumer_is_asked_for_and_taken_up_again(
    bus: Bus, client: Client, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja")
    seen: list[bytes] = []  # the first may come again: its ack may have met no consumer any more

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen.append(message.body)
            await message.ack()

    asked = await client.subscribe(names.PROVISION_SUBJECT)
    await client.flush()
    async with run_lanes(handler, match_lane("loja")):
        await fill(bus, "loja", 1)
        await eventually(lambda: len(seen) == 1)
        await client.jetstream().delete_consumer(names.stream("loja"), "match")
        assert (await asked.next_msg(timeout=60)).data == b"loja"
        await make_tenant("loja")
        await bus.publish(names.in_subject("loja", "click"), b"again", msg_id="again")
        await eventually(lambda: b"again" in seen)


async def test_an_ack_from_before_a_wipe_does_not_take_away_a_new_message(
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes, nats_server: NatsProcess
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

    async with run_lanes(handler, match_lane("loja"), concurrency=2) as worker:
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
    bus: Bus, make_tenant: MakeTenant, run_lanes: RunLanes
) -> None:
    await make_tenant("loja", ack_wait_s=20)
    await fill(bus, "loja", 40)
    seen: Counter[bytes] = Counter()
    release = asyncio.Event()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        seen.update(message.body for message in messages)
        await release.wait()
        for message in messages:
            await message.ack()

    async with run_lanes(handler, match_lane("loja"), batch=10, ack_wait_s=20):
        await eventually(lambda: len(seen) > 0)
        await bus.link.client.force_reconnect()
        await eventually(lambda: bus.connected)
        release.set()
        await settled(bus)
    assert len(seen) == 40 and set(seen.values()) == {1}


async def test_a_request_that_the_broker_dropped_without_a_word_is_made_again(
    bus: Bus,
    client: Client,
    make_tenant: MakeTenant,
    run_lanes: RunLanes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulls, "CALM", pulls.Terms(expires_s=600, heartbeat_s=1))
    monkeypatch.setattr(pulls, "LATE_S", 1.0)
    await make_tenant("loja")
    seen: list[bytes] = []

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen.append(message.body)
            await message.ack()

    async with run_lanes(handler, match_lane("loja")), asyncio.timeout(PATIENCE_S):
        while not (
            await client.jetstream().consumer_info(names.stream("loja"), "match")
        ).num_waiting:
            await asyncio.sleep(0.05)
        await _drop_requests(bus)
        await eventually(lambda: seen == [b"unheard"])


async def _drop_requests(bus: Bus) -> None:
    """A message meets requests whose reader is gone, as behind a route that is down: the broker
    drops them.
    """
    connection = bus.link.client
    (number,) = [number for number, one in connection._subs.items() if one.subject.endswith(".*.*")]
    await connection._send_command(b"UNSUB %d\r\n" % number)
    await connection.flush()
    await bus.publish(names.in_subject("loja", "click"), b"unheard", msg_id="unheard")
    await asyncio.sleep(0.5)
    await connection._send_command(f"SUB {connection._subs[number].subject}  {number}\r\n".encode())
    await connection.flush()


async def test_a_lane_asks_seldom_while_nothing_comes_and_soon_again_while_something_does(
    bus: Bus,
    client: Client,
    make_tenant: MakeTenant,
    run_lanes: RunLanes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulls, "BUSY", pulls.Terms(expires_s=0.4, heartbeat_s=0.2))
    monkeypatch.setattr(pulls, "CALM", pulls.Terms(expires_s=0.6, heartbeat_s=0.3))
    await make_tenant("loja")
    asked: list[float] = []

    async def wanted(message: Msg) -> None:
        asked.append(json.loads(message.data)["expires"] / 1e9)

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            await message.ack()

    await client.subscribe(_REQUESTS, cb=wanted)
    await client.flush()
    async with run_lanes(handler, match_lane("loja")):
        await eventually(lambda: len(asked) > 1)
        assert set(asked) == {0.6}
        await fill(bus, "loja", 40)
        await eventually(lambda: 0.4 in asked)
        await eventually(lambda: asked[-1] == 0.6)
