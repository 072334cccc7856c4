"""Publishing: stored before it returns, once per id, pipelined, and refused with a type that says
what to do.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest
import uvloop
from nats.aio.msg import Msg

from sinal_core.nats import (
    Bus,
    BusUnavailable,
    LaneFull,
    LaneMissing,
    MessageTooLarge,
    Outgoing,
    Published,
)
from sinal_core.nats.errors import StreamFull
from sinal_crds import names

from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_bus import MakeTenant
from tests.support.nats_process import NatsProcess


async def test_a_repeated_id_is_stored_once_and_said_to_be_a_duplicate(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    subject = names.in_subject("loja", "sale")
    first = await bus.publish(subject, b"one", msg_id="hotmart:1")
    again = await bus.publish(subject, b"one", msg_id="hotmart:1")
    other = await bus.publish(subject, b"two", msg_id="hotmart:2")
    assert (first.duplicate, again.duplicate, other.duplicate) == (False, True, False)
    assert again.seq == first.seq
    assert other.seq == first.seq + 1


async def test_a_tenant_without_a_stream_is_a_missing_lane(bus: Bus) -> None:
    with pytest.raises(LaneMissing, match=r"t\.nobody\.in\.click"):
        await bus.publish("t.nobody.in.click", b"{}", msg_id="1")


async def test_a_full_stream_refuses_and_keeps_what_it_has(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja", max_msgs=3)
    subject = names.in_subject("loja", "click")
    results = await bus.publish_many([Outgoing(subject, b"x", str(n)) for n in range(5)])
    assert [type(r) for r in results] == [Published] * 3 + [StreamFull] * 2
    with pytest.raises(LaneFull):
        await bus.publish(subject, b"x", msg_id="later")


async def test_a_stream_out_of_bytes_is_full_too(bus: Bus, make_tenant: MakeTenant) -> None:
    await make_tenant("loja", max_bytes=2_000)
    with pytest.raises(LaneFull):
        for n in range(10):
            await bus.publish(names.in_subject("loja", "click"), b"x" * 500, msg_id=str(n))


async def test_what_the_broker_can_never_take_is_said_to_be_too_large(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    with pytest.raises(MessageTooLarge, match="2097152"):
        await bus.publish(names.in_subject("loja", "click"), b"x" * (2 << 20), msg_id="1")


async def test_one_refusal_of_many_costs_no_other_its_place(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    results = await bus.publish_many(
        [
            Outgoing(names.in_subject("loja", "click"), b"1", "a"),
            Outgoing("t.nobody.in.click", b"2", "b"),
            Outgoing(names.in_subject("loja", "click"), b"3", "c"),
        ]
    )
    assert [type(r).__name__ for r in results] == ["Published", "LaneMissing", "Published"]


async def test_ten_thousand_publishes_from_many_tasks_are_all_stored(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    subject = names.in_subject("loja", "click")

    async def sender(number: int) -> None:
        for n in range(50):
            await bus.publish(subject, b"{}", msg_id=f"{number}-{n}", timeout_s=30)

    await asyncio.gather(*(sender(number) for number in range(200)))
    assert [d.pending for d in await bus.depths()] == [10_000]


async def test_without_a_broker_a_publish_fails_at_once(
    bus: Bus, make_tenant: MakeTenant, nats_server: NatsProcess
) -> None:
    await make_tenant("loja")
    nats_server.kill()
    await eventually(lambda: not bus.connected)
    began = time.monotonic()
    with pytest.raises(BusUnavailable):
        await bus.publish(names.in_subject("loja", "click"), b"x", msg_id="1", timeout_s=300)
    assert time.monotonic() - began < PATIENCE_S


async def test_a_lost_connection_fails_what_waits_without_the_whole_timeout(
    bus: Bus, nats_server: NatsProcess
) -> None:
    silent = await bus.link.client.subscribe("silent")  # takes requests and never answers
    waiting = asyncio.create_task(bus.publish("silent", b"x", msg_id="1", timeout_s=300))
    await silent.next_msg(timeout=60)
    began = time.monotonic()
    nats_server.kill()
    with pytest.raises(BusUnavailable):
        await waiting
    assert time.monotonic() - began < PATIENCE_S


async def test_no_answer_in_time_is_unavailable(bus: Bus) -> None:
    await bus.link.client.subscribe("silent")
    with pytest.raises(BusUnavailable, match="no answer within"):
        await bus.publish("silent", b"x", msg_id="1", timeout_s=0.2)


async def test_publishing_works_again_after_a_restart_and_knows_what_it_stored_before(
    bus: Bus, make_tenant: MakeTenant, nats_server: NatsProcess
) -> None:
    await make_tenant("loja")
    subject = names.in_subject("loja", "click")
    before = await bus.publish(subject, b"x", msg_id="1")
    await asyncio.to_thread(nats_server.restart)
    await eventually(lambda: bus.connected)
    after = await bus.publish(subject, b"x", msg_id="1")
    assert (after.seq, after.duplicate) == (before.seq, True)


async def test_a_bus_can_start_before_its_broker_and_tells_of_later_connects(
    nats_server: NatsProcess,
) -> None:
    nats_server.kill()
    connects: list[str] = []
    bus = await Bus.connect(
        nats_server.url, name="early", on_reconnect=lambda: connects.append("again"), wait_s=0.1
    )
    try:
        assert not bus.connected
        nats_server.start()
        await eventually(lambda: bus.connected)
        assert connects == []
        await asyncio.to_thread(nats_server.restart)
        await eventually(lambda: connects == ["again"])
    finally:
        await bus.close()


async def test_requests_for_provisioning_become_one_a_second(bus: Bus) -> None:
    asked = await bus.link.client.subscribe(names.PROVISION_SUBJECT)
    await bus.flush()
    for n in range(100):
        bus.request_provision(f"tenant-{n}")
    first = await asked.next_msg(timeout=60)
    second = await asked.next_msg(timeout=60)
    assert first.data == b"tenant-0"
    assert second.data == b""  # the other ninety-nine: look at all
    with pytest.raises(TimeoutError):
        await asked.next_msg(timeout=1.2)


def test_a_bus_closes_while_the_broker_is_away_with_work_left_to_send(
    nats_server: NatsProcess,
) -> None:
    """On uvloop, as roles run: a stop while NATS restarts must release everything that comes after
    the bus.
    """

    async def work() -> None:
        bus = await Bus.connect(nats_server.url, name="test")
        nats_server.kill()
        await eventually(lambda: not bus.connected)
        await bus.link.client.publish("t.loja.in.click", b"buffered while the client reconnects")
        await bus.close()
        assert bus.link.client.is_closed

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


async def test_answers_are_found_wherever_a_read_cuts_them(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    """Acks that lie whole in what was read go a shorter way than those that are cut, or that stand
    behind others.
    """
    await make_tenant("loja")
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await bus.link.client.subscribe("between.>", cb=hear)
    parser = bus.link.client._ps
    parse = parser.parse

    async def in_pieces(data: bytes) -> None:
        cut = random.randrange(len(data) + 1)
        for piece in (data[:cut], data[cut:]):
            if piece:
                await parse(piece)

    parser.parse = in_pieces  # type: ignore[method-assign,assignment]
    subject = names.in_subject("loja", "click")

    async def sender(number: int) -> list[Published]:
        got = []
        for n in range(20):
            got.append(await bus.publish(subject, b"{}", msg_id=f"{number}-{n}", timeout_s=30))
            await bus.send(f"between.{number}", b"x" * number)
        return got

    results = [one for many in await asyncio.gather(*map(sender, range(50))) for one in many]
    assert sorted(one.seq for one in results) == list(range(1, 1_001))
    await eventually(lambda: len(heard) == 1_000)
    assert sorted(map(len, heard)) == sorted(number for number in range(50) for _ in range(20))


async def test_a_publish_that_nobody_awaits_any_more_harms_no_other(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    subject = names.in_subject("loja", "click")
    given_up = [
        asyncio.create_task(bus.publish(subject, b"{}", msg_id=f"given-up-{n}")) for n in range(100)
    ]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    kept = await asyncio.gather(
        *(bus.publish(subject, b"{}", msg_id=f"kept-{n}") for n in range(100))
    )
    assert not any(one.duplicate for one in kept)
    assert await asyncio.gather(*given_up, return_exceptions=True) != []
    await bus.close()  # waits for what is under way: nothing is


async def test_an_id_that_no_header_carries_as_it_is_is_cleaned_on_both_ways(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    subject = names.in_subject("loja", "click")
    first = await bus.publish(subject, b"{}", msg_id="a\r\nStatus: 503")
    again = await bus.publish(subject, b"{}", msg_id="a  Status: 503 ")
    assert again == Published(first.seq, True)
