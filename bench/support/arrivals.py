"""What arrived at the sandbox, and how long after it was due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime

import aiohttp
import msgspec


class _Custom(msgspec.Struct, frozen=True):
    order_id: str | None = None


class _Event(msgspec.Struct):
    event_id: str
    event_name: str
    custom_data: _Custom = _Custom()


class _Received(msgspec.Struct):
    received_at: datetime
    event: _Event


class _Answer(msgspec.Struct):
    events: list[_Received]
    total: int


_decode = msgspec.json.Decoder(_Answer).decode


async def until(
    count: Callable[[], Awaitable[int]], wanted: int, *, timeout_s: float, every_s: float = 0.1
) -> bool:
    """Wait until the count is reached; False when it was not in time."""
    deadline = time.monotonic() + timeout_s
    while await count() < wanted:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every_s)
    return True


class Arrivals:
    """Keys of received events and when each came first, in Unix seconds.

    `repeats` counts those that came again.
    """

    def __init__(self, received: Iterable[_Received]) -> None:
        self.at: dict[str, float] = {}
        self.repeats = 0
        for one in received:
            # A sale's Meta id is derived from its order; a visit keeps the id its browser gave it.
            key = (
                one.event.custom_data.order_id
                if one.event.event_name == "Purchase"
                else one.event.event_id
            )
            if key in self.at:
                self.repeats += 1
            self.at.setdefault(str(key), one.received_at.timestamp())

    def latencies(self, due: Mapping[str, float], *, started_at: float) -> list[float]:
        """Seconds from due to received, in sequence of keys; infinity for what did not come."""
        return [self.at.get(key, float("inf")) - started_at - due_s for key, due_s in due.items()]


async def arrivals(
    session: aiohttp.ClientSession, sandbox: str, *, pixel: str | None = None
) -> Arrivals:
    """Everything that the sandbox has accepted, or of one pixel."""
    params = {"limit": "10000000"} | ({"pixel": pixel} if pixel else {})
    async with session.get(f"{sandbox}/_sandbox/events", params=params) as answer:
        return Arrivals(_decode(await answer.read()).events)
