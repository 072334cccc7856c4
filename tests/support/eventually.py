"""Wait for something that other tasks or processes bring about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# for what must happen: only a failure waits so long, and a busy machine may stall for seconds
PATIENCE_S = 60.0


async def eventually(condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
    """Return as soon as the condition holds; raises TimeoutError when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
