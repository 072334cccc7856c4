"""When to stop asking a broker that does not answer, and who asks it again.

Closed: everybody publishes. Open, after some failures in a row: nobody does, so that no request
waits for a time-out that is foreseeable, but for one probe at a time, made of what is spooled. The
first that succeeds closes it for all. A connection that is down counts as open without any failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from sinal_core.aio.backoff import NONE
from sinal_core.aio.breaker import Breaker, Policy

log = structlog.get_logger(__name__)

# The broker is ours and a probe costs it nothing: it is asked as often after an hour as at first.
POLICY = Policy(threshold=3, base_s=0.5, cap_s=0.5, jitter=NONE)
_LOOK_S = 0.05


class Circuit:
    """State of the way to the broker, as its callers report it."""

    def __init__(self, connected: Callable[[], bool]) -> None:
        self._connected = connected
        self._breaker = Breaker(POLICY)
        self._probe = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a publish is not worth its wait."""
        return not (self._breaker.closed and self._connected())

    def failed(self) -> None:
        """Take note that a publish found no broker, or no answer in time."""
        was_closed = self._breaker.closed
        self._breaker.failed(_now(), "unavailable")
        if was_closed and not self._breaker.closed:
            log.warning(
                "spool.circuit_open", why="the broker does not confirm: events go to the spool"
            )

    def succeeded(self) -> None:
        """Take note that the broker answered."""
        if not self._breaker.closed:
            log.info("spool.circuit_closed", why="the broker confirms again")
        self._breaker.succeeded()

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Enter when a publish makes sense: at once while closed, else as the one probe."""
        if not self.is_open:
            yield
            return
        async with self._probe:
            # Who waited here while a probe succeeded is not one: it leaves the lock first, so that
            # all who waited go on side by side.
            is_probe = self.is_open
            if is_probe:
                await self._rest()
                try:
                    yield
                finally:
                    self._breaker.release()
        if not is_probe:
            yield

    async def _rest(self) -> None:
        # The connection tells nobody when it is back, and there is one who looks.
        while not self._connected() or not self._breaker.begin(_now()):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)


def _now() -> float:
    return asyncio.get_running_loop().time()
