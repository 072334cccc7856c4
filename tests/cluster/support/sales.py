"""Senders that post sales as a gateway's queue does, and what of them arrived at Meta's sandbox."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import Any

import aiohttp

from tests.support.load import hotmart_sale
from tests.support.platform import Platform

SENDERS, PAUSE_S = 4, 0.02


class Sales:
    """Senders that post one sale after another, as a gateway's queue does.

    Each has an order of its own.
    """

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
            sale = hotmart_sale(f"HP{1_000_000_000 + next(self._numbers):010d}")
            headers = {"X-HOTMART-HOTTOK": "hottok-1", "Content-Type": "application/json"}
            async with session.post(self._url, data=sale, headers=headers) as answer:
                self.answers[answer.status] += 1
                self.taken += answer.status == 202
            await asyncio.sleep(PAUSE_S)


async def received(platform: Platform, session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Purchases at Meta's sandbox."""
    async with session.get(
        f"{platform.sandbox_url}/_sandbox/events", params={"pixel": "12345678", "limit": "1000000"}
    ) as answer:
        events = [item["event"] for item in (await answer.json())["events"]]
    return [event for event in events if event["event_name"] == "Purchase"]
