"""Senders of the load: each order's facts in their sequence, every delivery repeated until it is
answered 2xx.

A sender believes a 2xx and nothing else, as gateways do. What it was told is kept: the id of each
accepted fact, and every answer that no sender should get whatever is broken behind the edge (4xx,
another id for a repeat).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from tests.support.chaos.stage import Stage
from tests.support.chaos.stories import Fact, Order

RETRY_S = 0.1
CONCURRENCY = 64
MAY_COME_AGAIN = frozenset({429, 503})


@dataclass
class Receipts:
    """What the senders were told."""

    ids: dict[Fact, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


class Senders:
    """All senders of one schedule."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession) -> None:
        self._stage, self._session = stage, session
        self._gate = asyncio.Semaphore(CONCURRENCY)
        self._open = asyncio.Event()
        self._open.set()
        self._under_way = 0
        self.receipts = Receipts()

    async def play(self, orders: tuple[Order, ...]) -> None:
        """Send everything; returns when all of it was accepted, repeats included."""
        await asyncio.gather(*map(self._order, orders))

    async def pause(self) -> None:
        """Send nothing more until `resume`; returns when no request is under way."""
        self._open.clear()
        while self._under_way:
            await asyncio.sleep(0.02)

    def resume(self) -> None:
        """Go on."""
        self._open.set()

    async def _order(self, order: Order) -> None:
        await asyncio.sleep(order.starts_at_s)
        async with asyncio.TaskGroup() as repeats:
            for fact in order.facts:
                await asyncio.sleep(fact.pause_s)
                await self._until_accepted(fact)
                for number in range(fact.repeats):
                    repeats.create_task(self._repeat(fact, 0.3 * number))

    async def _repeat(self, fact: Fact, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._until_accepted(fact)

    async def _until_accepted(self, fact: Fact) -> None:
        while not await self._post(fact):
            await asyncio.sleep(RETRY_S)

    async def _post(self, fact: Fact) -> bool:
        async with self._gate:
            await self._open.wait()
            self._under_way += 1
            try:
                return await self._answered(fact)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.receipts.answers[type(error).__name__] += 1
                return False
            finally:
                self._under_way -= 1

    async def _answered(self, fact: Fact) -> bool:
        url, body, headers = self._request(fact)
        async with self._session.post(url, data=body, headers=headers) as answer:
            text = await answer.text()
        self.receipts.answers[str(answer.status)] += 1
        if answer.status == 202:
            self._note(fact, [event["id"] for event in json.loads(text)["events"]])
            return True
        if answer.status not in MAY_COME_AGAIN:
            self.receipts.wrong.append(f"{fact.name} was answered {answer.status}: {text[:200]}")
        return answer.status < 300 or not (answer.status in MAY_COME_AGAIN or answer.status >= 500)

    def _note(self, fact: Fact, ids: list[str]) -> None:
        first = self.receipts.ids.setdefault(fact, *ids)
        if [first] != ids:
            self.receipts.wrong.append(f"{fact.name} was {first} and is {ids} now")

    def _request(self, fact: Fact) -> tuple[str, bytes, dict[str, str]]:
        delivery = fact.delivery
        if fact.is_sale:
            url = self._stage.webhook(fact.shop.slug, fact.shop.integrations[fact.door])
            return f"{url}?{delivery.query}", delivery.body, delivery.headers
        keys = self._stage.minted[fact.shop.slug]["funnels"][fact.shop.funnel]
        body = json.dumps({"funnel": keys["public_key"], **json.loads(delivery.body)}).encode()
        url = f"{self._stage.ingest}/t/{fact.shop.slug}/api/v1/track/{fact.door}"
        headers = {
            "Authorization": f"Bearer {keys['server_key']}",
            "Content-Type": "application/json",
        }
        return url, body, headers
