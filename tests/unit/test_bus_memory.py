"""The broker in memory keeps what rooms rely on, so that their unit tests mean something."""

from __future__ import annotations

import pytest

from sinal_core.nats import (
    BusUnavailable,
    Lane,
    LaneFull,
    LaneMissing,
    Message,
    Outgoing,
    Published,
    Publisher,
    dispatch_lane,
    match_lane,
)
from sinal_core.nats.testing import MemoryBus, MemoryLanes


async def test_an_id_is_stored_once_per_tenant() -> None:
    bus: Publisher = MemoryBus("loja", "other")
    first = await bus.publish("t.loja.in.sale", b"1", msg_id="a")
    assert await bus.publish("t.loja.in.sale", b"1", msg_id="a") == Published(first.seq, True)
    assert await bus.publish("t.other.in.sale", b"1", msg_id="a") == Published(1, False)
    assert await bus.publish("t.loja.in.sale", b"2", msg_id="b") == Published(2, False)


async def test_it_refuses_with_the_types_of_the_real_one() -> None:
    bus = MemoryBus("loja", "full")
    bus.full.add("full")
    with pytest.raises(LaneMissing):
        await bus.publish("t.nobody.in.sale", b"", msg_id="a")
    with pytest.raises(LaneFull):
        await bus.publish("t.full.in.sale", b"", msg_id="a")
    results = await bus.publish_many(
        [Outgoing("t.full.in.sale", b"", "a"), Outgoing("t.loja.in.sale", b"", "a")]
    )
    assert [type(result) for result in results] == [LaneFull, Published]
    bus.connected = False
    with pytest.raises(BusUnavailable):
        await bus.publish("t.loja.in.sale", b"", msg_id="b")


async def test_a_message_comes_again_until_it_is_acked_or_terminated() -> None:
    bus = MemoryBus("loja")
    for name in ("acked", "ended", "later", "left", "broken"):
        await bus.publish(f"t.loja.in.{name}", name.encode(), msg_id=name)
    seen: list[tuple[bytes, int]] = []

    async def handler(lane: Lane, messages: list[Message]) -> None:
        (message,) = messages
        seen.append((message.body, message.deliveries))
        if message.deliveries == 2 or message.body == b"acked":
            await message.ack()
        elif message.body == b"ended":
            await message.term()
        elif message.body == b"later":
            await message.nak(30)
            await message.ack()  # too late
        elif message.body == b"broken":
            raise ValueError("a bug")

    lanes = MemoryLanes(bus, handler, batch=1)
    lanes.set([match_lane("loja")])
    assert await lanes.deliver() == 5
    assert [stored.msg_id for stored in bus.waiting()] == ["later", "left", "broken"]
    assert bus.waiting()[0].answers == [b'-NAK {"delay":30000000000}']
    assert [type(error) for error in lanes.errors] == [ValueError]
    assert await lanes.deliver() == 3
    assert bus.waiting() == []
    assert [entry for entry in seen if entry[1] == 2] == [
        (b"later", 2),
        (b"left", 2),
        (b"broken", 2),
    ]


async def test_each_lane_gets_its_own_messages() -> None:
    bus = MemoryBus("loja")
    for subject in ("t.loja.in.sale", "t.loja.out.pixel", "t.loja.out.pixel-2"):
        await bus.publish(subject, subject.encode(), msg_id=subject)
    seen: dict[str, list[bytes]] = {}

    async def handler(lane: Lane, messages: list[Message]) -> None:
        seen[lane.key] = [message.body for message in messages]

    lanes = MemoryLanes(bus, handler)
    lanes.set([match_lane("loja"), dispatch_lane("loja", "pixel")])
    await lanes.deliver()
    assert seen == {"match": [b"t.loja.in.sale"], "pixel": [b"t.loja.out.pixel"]}
    assert {(depth.consumer, depth.role) for depth in await bus.depths()} == {
        ("match", "match"),
        ("dispatch-pixel", "dispatch"),
        ("dispatch-pixel-2", "dispatch"),
    }
