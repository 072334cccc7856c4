"""An answer is written down though PostgreSQL is away for a moment: one that is not becomes a doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sinal_core.postgres.errors import StoreUnavailable

WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0)

R = TypeVar("R")


async def written(settle: Callable[[], Awaitable[R]], waits_s: Sequence[float] = WAITS_S) -> R:
    """What `settle` returns, tried again after each of the waits while PostgreSQL is away.

    Raises StoreUnavailable when it is away still.
    """
    for wait_s in waits_s:
        # Perhaps it was committed and only the answer lost. Run again it moves nothing: the entries
        # are not `sending` any more, or the next worker's claim has another fence.
        try:
            return await settle()
        except StoreUnavailable:
            await asyncio.sleep(wait_s)
    return await settle()
