"""The edge is restarted while NATS is away: it knows its tenants, takes deliveries to disk, and
loses none.
"""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.support import load
from tests.support.platform import running

MANIFESTS = Path(__file__).parent.parent / "support" / "manifests" / "shop.yaml"
PIXEL = "1111111111"


async def test_it_takes_deliveries_and_they_arrive_when_the_broker_is_back(tmp_path: Path) -> None:
    settings = {"SINAL_SPOOL_DIR": str(tmp_path / "spool")}
    async with (
        running(tmp_path, [MANIFESTS], settings=settings) as platform,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        url = platform.webhook("loja", "hotmart")
        await load.post_until_accepted(session, url, load.hotmart_sales("before", 5))
        await platform.settled(session, accepted=5)
        await platform.nats.stop()
        platform.kill_role("ingest")
        platform.start_role("ingest")
        during = load.hotmart_sales("during", 20)
        accepted = await load.post_until_accepted(session, url, during, concurrency=5)
        assert len(accepted) == len(during)
        await platform.nats.start()
        await platform.settled(session, accepted=25)
        at_meta = await load.purchases(session, platform.sandbox_url, PIXEL)
    assert {order for order, _ in during} <= at_meta.keys()
    assert all(sum(ids.values()) == 1 for ids in at_meta.values())
