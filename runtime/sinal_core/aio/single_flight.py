"""One read for all callers that want the same at the same time.

Each says how old an answer it accepts.

Who asks while a read is under way waits for that one. A failure is told to all who wait, and not
remembered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sinal_core.aio.clock import MonotonicClock

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Shares what `read` returns."""

    def __init__(self, read: Callable[[], Awaitable[T]], *, clock: MonotonicClock = time) -> None:
        self._read, self._clock = read, clock
        self._reading: asyncio.Task[T] | None = None
        self._began = float("-inf")

    async def get(self, *, within_s: float) -> T:
        """Return what a read found that began no longer ago; raises what a new one raises."""
        now = self._clock.monotonic()
        reading = self._reading
        if reading is None or (
            reading.done() and (now - self._began > within_s or _failed(reading))
        ):
            # The age of an answer counts from the beginning of its read: what changed while the
            # read was under way may be missing in it.
            self._began = now
            self._reading = reading = asyncio.create_task(self._run())
        # shielded: a caller that gives up would otherwise cancel the read for all who wait with it
        return await asyncio.shield(reading)

    async def _run(self) -> T:
        return await self._read()


def _failed(read: asyncio.Task[T]) -> bool:
    return read.cancelled() or read.exception() is not None
