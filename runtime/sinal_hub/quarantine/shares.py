"""What each tenant takes up of the bucket of quarantine, and how much of it is its own.

A share is at most a part of what is free, so that it shrinks while many use theirs, and the bucket
is never full: who has many tenants leaves room for the others.

The broker tells what there is; between two looks a process counts what it adds itself. Processes do
not hear of one another in between: together they may go over by what the rate of unreadable
deliveries lets in during one look.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal

from sinal_core.nats.errors import BusError
from sinal_hub.quarantine.queue import QuarantineBucket

if TYPE_CHECKING:
    from sinal_core.aio.clock import MonotonicClock

MAX_BYTES = 64 * 1024 * 1024
MAX_BODIES = 10_000
MAX_HEADS = 20_000  # bodies among them: heads alone are small, and bounded as well
FREE_PARTS = 8  # a tenant takes up at most one of so many parts of what is free
LOOK_S = 60.0

Room = Literal["body", "head", "none"]


class _Usage:
    """What one tenant takes up."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.looked_at: float | None = None
        self.count = self.bytes = 0


class Shares:
    """The tenants' shares of one bucket."""

    def __init__(
        self,
        bucket: QuarantineBucket,
        *,
        max_bytes: int = MAX_BYTES,
        max_bodies: int = MAX_BODIES,
        max_heads: int = MAX_HEADS,
        clock: MonotonicClock = time,
    ) -> None:
        self._bucket, self._clock = bucket, clock
        self._max_bytes, self._max_bodies, self._max_heads = max_bytes, max_bodies, max_heads
        self._used: dict[str, _Usage] = {}
        self._free: int | None = None  # None: as much as one likes

    async def take(self, tenant: str, size: int) -> Room:
        """What there is room for: a delivery of `size` bytes, its head only, or not even that."""
        usage = self._used.setdefault(tenant, _Usage())
        async with usage.lock:
            await self._look(tenant, usage)
            if usage.count >= self._max_heads:
                return "none"
            usage.count += 1
            if usage.count > self._max_bodies or usage.bytes + size > self._most():
                return "head"
            usage.bytes += size
            if self._free is not None:
                self._free -= size
            return "body"

    def _most(self) -> int:
        """Bytes of bodies that a tenant may have now."""
        return (
            self._max_bytes
            if self._free is None
            else min(self._max_bytes, self._free // FREE_PARTS)
        )

    async def _look(self, tenant: str, usage: _Usage) -> None:
        now = self._clock.monotonic()
        if usage.looked_at is not None and now - usage.looked_at < LOOK_S:
            return
        # also where the broker is away: it is asked once in a while, and not for each delivery
        usage.looked_at = now
        try:
            held = (await self._bucket.held(tenant)).values()
            self._free = await self._bucket.free()
        except BusError:  # what is kept meanwhile goes to the spool, which has a bound of its own
            return
        usage.count, usage.bytes = len(held), sum(one.bytes for one in held)
