"""Wait for what other processes bring about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, timeout_s: float = 120.0, pause_s: float = 0.1) -> T:
    """The condition's first true value; raises TimeoutError with its last value.

    A field that it asks for and that is not there is a no: objects and their conditions come and
    go. A condition that takes long, as one that runs kubectl does, is asked less often: it must not
    keep busy those whom it waits for.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        last: object
        asked = time.monotonic()
        try:
            last = found = condition()
            if found:
                return found
        except LookupError as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {timeout_s} s; last: {last!r}")
        time.sleep(max(pause_s, 2 * (time.monotonic() - asked)))


async def eventually(condition: Callable[[], Awaitable[bool]], *, timeout_s: float = 120.0) -> None:
    """Return as soon as the condition holds; raises TimeoutError when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.1)
