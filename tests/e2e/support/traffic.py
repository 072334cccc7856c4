"""Sales as a gateway posts them, at a steady rate while something else happens, each until it is answered 2xx."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from types import TracebackType

import aiohttp

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer, Delivery

from tests.support.load import HOTTOK

PATIENCE_S = 90.0  # of the gateway: after so long a sale that nobody took is given up


class Traffic:
    """A context: posts while the block runs, and waits at its end until every sale was taken."""

    def __init__(self, url: str, *, host: str, per_second: float) -> None:
        self._url, self._host, self._pause = url, host, 1 / per_second
        self._run = secrets.token_hex(3)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._play()), name="traffic")
        self.accepted: set[str] = set()
        self.given_up: set[str] = set()
        self.refused: Counter[str] = Counter()  # answers that were no 2xx, and broken connections: tried again

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def wait_for(self, count: int, *, timeout_s: float = 60) -> None:
        """Return once so many more sales are accepted."""
        goal, deadline = len(self.accepted) + count, time.monotonic() + timeout_s
        while len(self.accepted) < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{goal - len(self.accepted)} of {count} sales not taken in {timeout_s:.0f} s")
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
        order, delivery = self._sale(number)
        deadline = time.monotonic() + PATIENCE_S
        while (trouble := await self._post(session, delivery)) is not None:
            self.refused[trouble] += 1
            if time.monotonic() > deadline:
                self.given_up.add(order)
                return
            await asyncio.sleep(0.25)
        self.accepted.add(order)

    def _sale(self, number: int) -> tuple[str, Delivery]:
        order = f"HP{self._run}{number:06d}"
        buyer = Buyer("Comprador Teste", f"b{number}.{self._run}@example.com", f"119{80_000_000 + number}")
        return order, deliveries.hotmart(order, buyer, token=HOTTOK)

    async def _post(self, session: aiohttp.ClientSession, delivery: Delivery) -> str | None:
        try:
            async with session.post(self._url, data=delivery.body, headers=delivery.headers) as answer:
                await answer.read()
                return None if answer.status < 300 else str(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
