"""How a process leaves a load balancer: unready first, then its endless answers end, then it stops
listening.
"""

from __future__ import annotations

import asyncio


class Drain:
    """Where a process is on its way out."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self.draining = False

    def drain(self) -> None:
        """From now on not ready: load balancers look elsewhere, what comes all the same is
        answered.
        """
        self.draining = True

    def end(self) -> None:
        """End streams: their clients come back, and are led to a process that stays."""
        self._ended.set()

    async def ended(self) -> None:
        """Return once streams have to end."""
        await self._ended.wait()
