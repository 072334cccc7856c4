"""One look for all of a process who want to see the same: each says how old it may be.

Who asks while a look is under way waits for that one. A look that fails is told as a failure, and not remembered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time that only goes forward; the module `time` is one."""

    def monotonic(self) -> float: ...


class Shared(Generic[T]):
    """What `look` finds."""

    def __init__(self, look: Callable[[], Awaitable[T]], *, clock: Clock = time) -> None:
        self._look, self._clock = look, clock
        self._looking: asyncio.Task[T] | None = None
        self._began = float("-inf")

    async def get(self, *, within_s: float) -> T:
        """What was found by a look that began no longer ago; raises what a new one raises."""
        now = self._clock.monotonic()
        looking = self._looking
        if looking is None or (looking.done() and (now - self._began > within_s or _failed(looking))):
            self._began = now
            self._looking = looking = asyncio.create_task(self._run())
        return await asyncio.shield(looking)

    async def _run(self) -> T:
        return await self._look()


def _failed(look: asyncio.Task[T]) -> bool:
    return look.cancelled() or look.exception() is not None
