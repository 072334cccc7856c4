"""One look for all of a process who want to see the same: each says how old it may be.

Who asks while a look is under way waits for that one. A look that fails is told as a failure, and not remembered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from sinal_runtime.bus import Survey

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


class Surveyor(Protocol):
    """Who surveys the broker; `Bus` is one."""

    async def survey(self, *, ages: bool = False) -> Survey:
        """Every tenant, and every lane with work; raises BusError."""
        ...


class Surveys:
    """Surveys of one bus, with ages; a listing of a thousand streams is not made for each who wants to see it."""

    def __init__(self, bus: Surveyor, *, clock: Clock = time) -> None:
        self._shared: Shared[Survey] = Shared(lambda: bus.survey(ages=True), clock=clock)

    def within(self, seconds: float) -> Surveyor:
        """For a reader to whom a survey of the last so many seconds is as good as a new one."""
        return _Within(self._shared, seconds)


class _Within:
    def __init__(self, shared: Shared[Survey], seconds: float) -> None:
        self._shared, self._seconds = shared, seconds

    async def survey(self, *, ages: bool = False) -> Survey:
        del ages  # always there
        return await self._shared.get(within_s=self._seconds)


def _failed(look: asyncio.Task[T]) -> bool:
    return look.cancelled() or look.exception() is not None
