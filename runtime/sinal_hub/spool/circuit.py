"""When to stop asking a broker that does not answer, and who asks it again.

Closed: everybody publishes. Open, after `FAILURES` in a row: nobody does, so that no request waits for a time-out that
is foreseeable, but for one probe at a time, made of what is spooled. The first that succeeds closes it for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger(__name__)

FAILURES = 3
PROBE_INTERVAL_S = 0.5
_LOOK_S = 0.05


class Circuit:
    """State of the way to the broker, as its callers report it."""

    def __init__(self, connected: Callable[[], bool]) -> None:
        self._connected = connected
        self._failures = 0
        self._failed_at = 0.0
        self._probe = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a publish is not worth its wait."""
        return self._failures >= FAILURES or not self._connected()

    def failed(self) -> None:
        """A publish found no broker, or no answer in time."""
        self._failures += 1
        self._failed_at = asyncio.get_running_loop().time()
        if self._failures == FAILURES:
            log.warning("spool.circuit_open", why="the broker does not confirm: events go to the spool")

    def succeeded(self) -> None:
        """The broker answered."""
        if self._failures >= FAILURES:
            log.info("spool.circuit_closed", why="the broker confirms again")
        self._failures = 0

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Enter when a publish makes sense: at once while closed, else as the one probe."""
        if not self.is_open:
            yield
            return
        async with self._probe:
            is_probe = self.is_open
            if is_probe:
                await self._rest()
                yield
        if not is_probe:
            yield

    async def _rest(self) -> None:
        now = asyncio.get_running_loop().time
        # The connection tells nobody when it is back, and there is one who looks.
        while not self._connected() or (self._failures >= FAILURES and now() < self._failed_at + PROBE_INTERVAL_S):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
