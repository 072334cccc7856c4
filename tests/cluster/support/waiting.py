"""Wait for what other processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, timeout_s: float = 20.0, pause_s: float = 0.1) -> T:
    """The condition's first true value; raises TimeoutError with its last value."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {timeout_s} s; last: {found!r}")
        time.sleep(pause_s)
