"""A tenant that is deleted and made again while sales come in: each sale that was taken is delivered, once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinal_cli import demo

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.support.platform import Platform

SALE = (Path(demo.__file__).parent / "payloads" / "hotmart_approved.json").read_bytes()
SENDERS, ROUNDS, PAUSE_S = 4, 4, 0.02


class Sales:
    """Senders that post one sale after another, as a gateway's queue does; each has an order of its own."""

    def __init__(self, url: str) -> None:
        self._url, self._numbers = url, count(1)
        self.taken = 0  # answered 202
        self.answers: Counter[int] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, session: aiohttp.ClientSession) -> None:
        """Post until `stop`."""
        self._tasks = [asyncio.create_task(self._post(session)) for _ in range(SENDERS)]

    async def stop(self) -> None:
        """Let each finish what it posts."""
        self._url = ""
        await asyncio.gather(*self._tasks)

    async def _post(self, session: aiohttp.ClientSession) -> None:
        while self._url:
            order = b"HP%010d" % (1_000_000_000 + next(self._numbers))
            now = str(int(time.time() * 1000) - 60_000).encode()
            sale = SALE.replace(b"1745952627000", now).replace(b"HP0000000001", order)
            headers = {"X-HOTMART-HOTTOK": "hottok-1", "Content-Type": "application/json"}
            async with session.post(self._url, data=sale, headers=headers) as answer:
                self.answers[answer.status] += 1
                self.taken += answer.status == 202
            await asyncio.sleep(PAUSE_S)


@pytest.fixture
async def platform(control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> AsyncIterator[Platform]:
    """All roles as processes; the operator watches the cluster."""
    settings = {"KUBECONFIG": str(control_plane.kubeconfig)}
    found = Platform(tmp_path, manifests=[], settings=settings)
    settings["SINAL_PUBLIC_URL"] = found.ingest
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


async def received(platform: Platform, session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Purchases at Meta's sandbox."""
    async with session.get(f"{platform.sandbox_url}/_sandbox/events", params={"pixel": "12345678"}) as answer:
        events = [item["event"] for item in (await answer.json())["events"]]
    return [event for event in events if event["event_name"] == "Purchase"]


async def test_every_sale_that_was_taken_is_delivered_once(platform: Platform, kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("gwi", "vendas", timeout_s=40)
    sales = Sales(kubectl.get("gwi", "vendas")["status"]["webhookURL"])
    uids = set()
    async with aiohttp.ClientSession() as session:
        sales.start(session)
        for _ in range(ROUNDS):
            uids.add(kubectl.get("tenant", "loja")["metadata"]["uid"])
            await asyncio.to_thread(kubectl.do, "delete", "tenant", "loja", "--timeout=30s")
            await asyncio.to_thread(kubectl.apply, shop.tenant())
            await asyncio.to_thread(kubectl.wait, "tenant", "loja", timeout_s=40)
            await asyncio.sleep(1)
        await sales.stop()
        assert len(uids) == ROUNDS
        assert sales.taken > 50, f"there was no load to speak of: {sales.answers}"
        assert set(sales.answers) - {202}, "no sale came while the tenant was away, so nothing was shown"
        ledger = await platform.settled(session, accepted=sales.taken, timeout_s=120)
        purchases = await received(platform, session)
    print(f"{sales.taken} sales taken, answers {dict(sales.answers)}, ledger {ledger}")
    assert (ledger["accepted"], ledger["dead"]) == (sales.taken, 0)
    assert len({event["event_id"] for event in purchases}) == sales.taken
    assert len(purchases) == sales.taken
