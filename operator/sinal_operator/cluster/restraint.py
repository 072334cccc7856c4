"""How many events an object may have, as client-go limits its own: 25 at once, then one in five
minutes.

What is told again within ten minutes is the same event with a higher count. What is kept for that
is bounded: of very many objects the longest silent ones are forgotten, and may speak as new ones
do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

BURST = 25
REFILL_S = 300.0
SAME_S = 600.0
MOST = 4_096  # objects, and events that may be told again

Event = dict[str, Any]
Key = tuple[str, ...]


class Restraint:
    """Events of late, and what each object has left."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # UID -> tokens, and when that was so
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._events: OrderedDict[Key, tuple[float, Event]] = OrderedDict()

    def allows(self, uid: str) -> bool:
        """Whether that object may have one more event now; it is counted."""
        now = self._clock()
        # Taken out to be put in again at the end: so the first one is always the longest silent.
        tokens, at = self._left.pop(uid, (float(BURST), now))
        tokens = min(BURST, tokens + (now - at) / REFILL_S)
        allowed = tokens >= 1
        self._left[uid] = (tokens - allowed, now)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        return allowed

    def same(self, key: Key, fresh: Event) -> Event:
        """The event of the same words that was told of late, or else the fresh one."""
        now = self._clock()
        at, event = self._events.pop(key, (now, fresh))
        if now - at > SAME_S:
            event = fresh
        self._events[key] = (now, event)
        if len(self._events) > MOST:
            self._events.popitem(last=False)
        return event

    def names(self) -> set[str]:
        """Of the events that may be told again."""
        return {event["metadata"]["name"] for _, event in self._events.values()}
