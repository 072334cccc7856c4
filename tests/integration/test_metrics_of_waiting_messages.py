"""The age of the oldest message is the broker's own, per lane, for as few requests as possible."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from nats.aio.client import Client

from sinal_core.nats import Bus, Depth

from tests.support.eventually import eventually
from tests.support.fix_bus import MakeTenant


async def test_each_lane_tells_when_its_oldest_message_came(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja", "match", "dispatch-a", "dispatch-b")
    times = [await _sent(bus, "t.loja.out.a", "1")]
    await asyncio.sleep(0.05)
    times.append(await _sent(bus, "t.loja.in.click", "2"))
    await asyncio.sleep(0.05)
    await bus.publish("t.loja.in.sale", b"x", msg_id="3")
    found = {depth.consumer: depth for depth in await bus.depths(ages=True)}
    assert _within(found["dispatch-a"], times[0]) and _within(found["match"], times[1])
    assert found["match"].messages == 2
    assert found["dispatch-b"].oldest_at is None


async def test_one_busy_lane_costs_no_further_request(
    bus: Bus, make_tenant: MakeTenant, client: Client
) -> None:
    await make_tenant("loja", "match", "dispatch-a")
    times = await _sent(bus, "t.loja.in.click", "1")
    calls: list[str] = []

    async def seen(message: object) -> None:
        calls.append(message.subject)  # type: ignore[attr-defined]

    await client.subscribe("$JS.API.>", cb=seen)
    await client.flush()
    found = {depth.consumer: depth for depth in await bus.depths(ages=True)}
    assert _within(found["match"], times)
    # Kinds and not a count: a request that a stall of the machine outlasts is made again.
    wanted = {"$JS.API.STREAM.LIST", "$JS.API.CONSUMER.LIST.T-loja"}
    await eventually(lambda: wanted <= set(calls))
    assert set(calls) == wanted


async def _sent(bus: Bus, subject: str, key: str) -> tuple[datetime, datetime]:
    before = datetime.now(UTC)
    await bus.publish(subject, b"x", msg_id=key)
    return before, datetime.now(UTC)


def _within(depth: Depth, times: tuple[datetime, datetime]) -> bool:
    return depth.oldest_at is not None and times[0] <= depth.oldest_at <= times[1]
