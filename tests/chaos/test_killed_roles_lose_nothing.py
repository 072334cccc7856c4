"""kill -9 of each role in the middle of a load: what was accepted arrives, once, under one id."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.support import load
from tests.support.platform import running

MANIFESTS = Path(__file__).parent.parent / "support" / "manifests" / "shop.yaml"
EVENTS = 5_000
PIXEL = "1111111111"


@pytest.mark.parametrize("role", ["ingest", "match", "dispatch", "operator", "api"])
async def test_killed_role_loses_nothing_and_sends_nothing_under_two_ids(
    tmp_path: Path, role: str
) -> None:
    sales = load.hotmart_sales(role[:2], EVENTS)
    async with (
        running(tmp_path, [MANIFESTS]) as platform,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        posting = asyncio.create_task(
            load.post_until_accepted(session, platform.webhook("loja", "hotmart"), sales)
        )
        for _ in range(2):
            await asyncio.sleep(1.0)
            platform.kill_role(role)
            await asyncio.sleep(0.3)
            platform.start_role(role)
        accepted = await posting
        ledger = await platform.settled(session, accepted=EVENTS, timeout_s=200)
        at_meta = await load.purchases(session, platform.sandbox_url, PIXEL)

    assert len(accepted) == EVENTS
    assert ledger["accepted"] == ledger["delivered"] + ledger["withheld"] + ledger["dead"]
    assert ledger["delivered"] == EVENTS
    assert accepted - at_meta.keys() == set()
    assert {order: ids for order, ids in at_meta.items() if len(ids) > 1} == {}
