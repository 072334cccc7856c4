"""A tenant that is deleted and made again while sales come in: each sale that was taken is
delivered, once.
"""

from __future__ import annotations

import asyncio

import aiohttp

from tests.cluster.support import shop
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.sales import Sales, received
from tests.support.platform import Platform

ROUNDS = 4


async def test_every_sale_that_was_taken_is_delivered_once(
    platform: Platform, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("gwi", "vendas", timeout_s=120)
    sales = Sales(kubectl.get("gwi", "vendas")["status"]["webhookURL"])
    uids = set()
    async with aiohttp.ClientSession() as session:
        sales.start(session)
        for _ in range(ROUNDS):
            uids.add(kubectl.get("tenant", "loja")["metadata"]["uid"])
            await asyncio.to_thread(kubectl.do, "delete", "tenant", "loja", "--timeout=120s")
            await asyncio.to_thread(kubectl.apply, shop.tenant())
            await asyncio.to_thread(kubectl.wait, "tenant", "loja", timeout_s=120)
            await asyncio.sleep(1)
        await sales.stop()
        assert len(uids) == ROUNDS
        assert sales.taken > 50, f"there was no load to speak of: {sales.answers}"
        assert set(sales.answers) - {202}, (
            "no sale came while the tenant was away, so nothing was shown"
        )
        ledger = await platform.settled(session, accepted=sales.taken, timeout_s=120)
        purchases = await received(platform, session)
    print(f"{sales.taken} sales taken, answers {dict(sales.answers)}, ledger {ledger}")
    assert (ledger["accepted"], ledger["dead"]) == (sales.taken, 0)
    assert len({event["event_id"] for event in purchases}) == sales.taken
    assert len(purchases) == sales.taken
