"""Clocks as parameters, so that tests can set the time. The module `time` is each of them."""

from __future__ import annotations

from typing import Protocol


class WallClock(Protocol):
    """The time of day, which may jump."""

    def time(self) -> float:
        """Return Unix seconds."""
        ...


class MonotonicClock(Protocol):
    """Time that only goes forward."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        ...


class Clock(WallClock, MonotonicClock, Protocol):
    """Both."""
