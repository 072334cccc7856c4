"""Who is next: start-time fair queueing over lanes with work.

Each lane carries the virtual time at which its next turn starts; a turn of n messages moves it n
further. The lane with the smallest start is next, and a lane that was idle starts at the present.
So lanes with a backlog share evenly (as with deficit round robin), and an event of a quiet lane
goes before everyone's backlog, which round robin cannot promise: there it waits a whole round.
Source: Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM 1996.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class FairQueue(Generic[K]):
    """Lanes that are ready, in the order of their turns."""

    def __init__(self) -> None:
        self._now = 0.0
        self._next_start: dict[K, float] = {}
        self._ready: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._ready)

    def offer(self, key: K) -> None:
        """The lane has work; offering it twice changes nothing."""
        if key in self._ready:
            return
        start = max(self._now, self._next_start.get(key, 0.0))
        self._ready[key] = start
        heapq.heappush(self._heap, (start, next(self._order), key))

    def take(self) -> K | None:
        """The lane whose turn it is, no longer ready; None when no lane has work."""
        while self._heap:
            start, _, key = heapq.heappop(self._heap)
            # Any other entry is of a lane that was forgotten since: it stays in the heap until its
            # turn, because taking it out would cost a search.
            if self._ready.get(key) == start:
                del self._ready[key]
                self._now = max(self._now, start)
                return key
        return None

    def charge(self, key: K, served: int) -> None:
        """The lane's turn took `served` messages."""
        self._next_start[key] = max(self._now, self._next_start.get(key, 0.0)) + served

    def forget(self, key: K) -> None:
        """The lane is gone."""
        self._ready.pop(key, None)
        self._next_start.pop(key, None)
