"""Sales as a gateway posts them, at a steady rate while something else happens, each until it is
answered 2xx.

With `Clicks` each sale has a buyer who clicked an ad before: the shop's server says so, until it is
answered 2xx.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer, DemoRequest
from sinal_cli.demo.shop import BROWSER, Posted

from tests.support.load import HOTTOK

PATIENCE_S = 90.0  # of the gateway: after so long a sale that nobody took is given up


@dataclass(frozen=True)
class Clicks:
    """Where a shop's server tells of clicks, and the keys of the funnel."""

    url: str
    public_key: str
    server_key: str

    def delivery(self, click_id: str, number: int) -> DemoRequest:
        """One buyer's click on an ad."""
        client = {"ip": f"191.31.{number // 250 % 250}.{number % 250 + 1}", "user_agent": BROWSER}
        page = f"https://loja.example/curso?utm_source=fb&fbclid=IwAR{click_id}"
        body = {"funnel": self.public_key, "client": client, "click_id": click_id, "url": page}
        headers = {
            "Authorization": f"Bearer {self.server_key}",
            "Content-Type": "text/plain;charset=UTF-8",
        }
        return DemoRequest("", json.dumps(body).encode(), headers)


class Traffic:
    """A context: posts while the block runs, and waits at its end until every sale was taken."""

    def __init__(
        self, url: str, *, host: str, per_second: float, clicks: Clicks | None = None
    ) -> None:
        self._url, self._host, self._pause, self._clicks = url, host, 1 / per_second, clicks
        self._run = secrets.token_hex(3)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._play()), name="traffic")
        self.accepted: set[str] = set()
        self.clicked: set[str] = set()  # event ids of clicks that were answered 2xx
        self.given_up: set[str] = set()
        # answers that were no 2xx, and broken connections: tried again
        self.refused: Counter[str] = Counter()

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()

    def wait_for(self, count: int, *, timeout_s: float = 120) -> None:
        """Return once so many more sales are accepted."""
        goal, deadline = len(self.accepted) + count, time.monotonic() + timeout_s
        while len(self.accepted) < goal:
            if time.monotonic() > deadline:
                missing = (
                    f"{goal - len(self.accepted)} of {count} sales not taken in {timeout_s:.0f} s"
                )
                raise TimeoutError(f"{missing}; answers: {dict(self.refused)}")
            time.sleep(0.1)

    async def _play(self) -> None:
        timeout, number = aiohttp.ClientTimeout(total=15), 0
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"Host": self._host}) as session,
            asyncio.TaskGroup() as sales,
        ):
            while not self._ending.is_set():
                sales.create_task(self._sell(session, number))
                number += 1
                await asyncio.sleep(self._pause)

    async def _sell(self, session: aiohttp.ClientSession, number: int) -> None:
        order, click_id = f"HP{self._run}{number:06d}", None
        if self._clicks is not None:
            click_id = f"c-{order}"
            told = await self._deliver(
                session, self._clicks.url, self._clicks.delivery(click_id, number)
            )
            if told is None:
                self.given_up.add(click_id)
                return
            self.clicked.update(Posted(202, told).ids)
        buyer = Buyer(
            "Comprador Teste", f"b{number}.{self._run}@example.com", f"119{80_000_000 + number}"
        )
        sale = deliveries.hotmart(order, buyer, token=HOTTOK, xcod=click_id)
        taken = await self._deliver(session, self._url, sale)
        (self.given_up if taken is None else self.accepted).add(order)

    async def _deliver(
        self, session: aiohttp.ClientSession, url: str, delivery: DemoRequest
    ) -> dict[str, Any] | None:
        """What was answered when it was taken, after however many attempts.

        None when nobody took it.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = await self._post(session, url, delivery)
            if not isinstance(told, str):
                return told
            self.refused[told] += 1
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.25)

    async def _post(
        self, session: aiohttp.ClientSession, url: str, delivery: DemoRequest
    ) -> dict[str, Any] | str:
        """The answer, or in a word what was wrong."""
        try:
            async with session.post(url, data=delivery.body, headers=delivery.headers) as answer:
                body = await answer.read()
                return json.loads(body or b"{}") if answer.status < 300 else str(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
