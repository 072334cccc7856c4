"""Which facts statuses show: the newest, but no object's figures change more often than the API
server should bear.

What is urgent is shown at once. Invariant: in any stretch of time, shows of one tenant that are not
urgent are at least an interval apart, and those of all tenants together stay under a rate; nothing
is shown twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sinal_crds.tenant_status import ObservedTenant

OBJECTS = 4  # that one tenant's facts are written into, about
MOST_PER_S = 40.0  # writes, of all tenants together
BURST = 100  # tenants that are shown at once after a quiet time


class StatusThrottle:
    """What is shown of each tenant, by slug."""

    def __init__(self, interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s, self._clock = interval_s, clock
        self.shown: dict[str, ObservedTenant] = {}
        self._shown_at: dict[str, float] = {}
        self._latest: Mapping[str, ObservedTenant] = {}
        self._allowance, self._counted_at = float(BURST), clock()

    def take(self, latest: Mapping[str, ObservedTenant]) -> None:
        """Know the newest facts."""
        self._latest = latest

    def release(self) -> frozenset[str]:
        """Show what may be shown now; returns the slugs whose facts are others than before."""
        now = self._clock()
        self._allowance = min(
            BURST, self._allowance + (now - self._counted_at) * MOST_PER_S / OBJECTS
        )
        self._counted_at = now
        gone = self.shown.keys() - self._latest.keys()
        for slug in gone:
            del self.shown[slug]
        news = self._news()
        urgent = [slug for slug in news if self._is_urgent(slug)]
        due = sorted((slug for slug in news if self._due_at(slug) <= now), key=self._due_at)
        released = dict.fromkeys([*urgent, *due[: int(self._allowance)]])
        self._allowance -= len(released.keys() - set(urgent))
        for slug in released:
            self.shown[slug] = self._latest[slug]
            self._shown_at[slug] = now
        return frozenset(gone | released.keys())

    @property
    def due_in_s(self) -> float | None:
        """Seconds until something that is held back may be shown; None when nothing is."""
        news = self._news()
        if not news:
            return None
        if any(map(self._is_urgent, news)):
            return 0.0
        first = min(map(self._due_at, news)) - self._clock()
        return max(first, 0.0 if self._allowance >= 1 else OBJECTS / MOST_PER_S)

    def _news(self) -> list[str]:
        return [slug for slug, facts in self._latest.items() if self.shown.get(slug) != facts]

    def _is_urgent(self, slug: str) -> bool:
        before = self.shown.get(slug)
        return before is not None and before.urgent != self._latest[slug].urgent

    def _due_at(self, slug: str) -> float:
        # With very many tenants it is the rate of all together that spaces the writes.
        interval_s = max(self._interval_s, OBJECTS * len(self._latest) / MOST_PER_S)
        return self._shown_at.get(slug, float("-inf")) + interval_s
