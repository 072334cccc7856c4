"""NATS is killed while sales come in: its consumers were in memory only, and no sale is lost or
sent twice for it.
"""

from __future__ import annotations

import asyncio

import aiohttp

from sinal_crds.keyring import Keyring

from tests.cluster.support import shop
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.lanes import lanes
from tests.cluster.support.sales import Sales, received
from tests.support.platform import Platform

KILLS, APART_S = 3, 3.0


async def test_consumers_in_memory_cost_no_sale_and_repeat_none(
    platform: Platform, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("gwi", "vendas", timeout_s=120)
    sales = Sales(kubectl.get("gwi", "vendas")["status"]["webhookURL"])
    keyring = Keyring.from_json((platform.folder / "keyring.json").read_bytes())
    async with aiohttp.ClientSession() as session:
        sales.start(session)
        for _ in range(KILLS):
            await asyncio.sleep(APART_S)
            platform.nats.kill()
            await platform.nats.start()
        await asyncio.sleep(APART_S)
        await sales.stop()
        assert sales.answers[202] > 50, f"there was no load to speak of: {sales.answers}"
        ledger = await platform.settled(session, accepted=sales.taken, timeout_s=120)
        purchases = await received(platform, session)
    async with lanes(platform.nats.url, keyring) as look:
        infos = await look.jetstream.consumers_info("T-loja")
        assert {info.name: info.config.mem_storage for info in infos} == {
            "match": True,
            "dispatch-pixel": True,
        }
    print(f"{sales.taken} sales taken, answers {dict(sales.answers)}, ledger {ledger}")
    # one that was answered 503 because the broker's ack was lost with it may be there as well
    assert sales.taken <= ledger["accepted"] <= sum(sales.answers.values())
    assert ledger["dead"] == 0
    assert len(purchases) == len({event["event_id"] for event in purchases}) == ledger["accepted"]
