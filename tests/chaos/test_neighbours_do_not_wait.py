"""Fairness: one tenant's burst, or one destination that hangs, delays nobody else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.support import load
from tests.support.platform import Platform, running

MANIFESTS = Path(__file__).parent.parent / "support" / "manifests" / "shop.yaml"
QUEUED = 5_000
# the longest that a hanging request may take: whoever waits for one waits longer than is asserted
GRAPH_S = 25.0


async def arrival(
    session: aiohttp.ClientSession, platform: Platform, pixel: str, order: str, *, within_s: float
) -> None:
    """Return once the order's purchase is at Meta; fails the test after `within_s`."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        params = {"pixel": pixel, "event_name": "Purchase", "order_id": order}
        async with session.get(f"{platform.sandbox_url}/_sandbox/events", params=params) as answer:
            if (await answer.json())["events"]:
                return
        await asyncio.sleep(0.02)
    pytest.fail(f"{order} did not arrive at {pixel} within {within_s} s")


async def test_a_burst_of_one_tenant_does_not_delay_another(tmp_path: Path) -> None:
    async with running(tmp_path, [MANIFESTS]) as platform, aiohttp.ClientSession() as session:
        await platform.roles["match"].stop()
        await load.post_until_accepted(
            session, platform.webhook("loja", "hotmart"), load.hotmart_sales("q", QUEUED)
        )
        platform.start_role("match")
        while not await load.purchases(session, platform.sandbox_url, "1111111111"):
            await asyncio.sleep(0.02)  # until it works on the burst
        [(order, delivery)] = load.hotmart_sales("n", 1)
        await load.post_until_accepted(
            session, platform.webhook("vizinha", "hotmart-vizinha"), [(order, delivery)]
        )
        await arrival(session, platform, "2222222222", order, within_s=120)
        burst = await load.purchases(session, platform.sandbox_url, "1111111111")
        assert len(burst) < QUEUED, "the burst was over before the neighbour's event came"


async def test_a_hanging_destination_delays_no_other(tmp_path: Path) -> None:
    settings = {"SINAL_GRAPH_TIMEOUT_S": str(GRAPH_S)}
    async with (
        running(tmp_path, [MANIFESTS], settings=settings) as platform,
        aiohttp.ClientSession() as session,
    ):
        fault = {"faults": [{"kind": "hang", "pixel": "3333333333"}]}
        async with session.post(f"{platform.sandbox_url}/_sandbox/faults", json=fault) as answer:
            assert answer.status < 300
        url = platform.webhook("vizinha", "hotmart-vizinha")
        await load.post_until_accepted(session, url, load.hotmart_sales("h", 50))
        await asyncio.sleep(1.0)
        [(order, delivery)] = load.hotmart_sales("o", 1)
        await load.post_until_accepted(session, url, [(order, delivery)])
        await arrival(session, platform, "2222222222", order, within_s=GRAPH_S / 2)
        [(other, delivery)] = load.hotmart_sales("l", 1)
        await load.post_until_accepted(
            session, platform.webhook("loja", "hotmart"), [(other, delivery)]
        )
        await arrival(session, platform, "1111111111", other, within_s=GRAPH_S / 2)
