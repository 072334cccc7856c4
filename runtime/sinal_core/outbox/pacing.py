"""How fast one destination may be asked: the plan's rate, what the answers say of the quota,
and a stop when one of them says so.

A token bucket of one second keeps the plan's rate; from 75 % of the quota on, requests are spaced
out, the more the closer to the end; a throttle verdict stops the destination until the time it
gave. Time is the caller's monotonic clock.
"""

from __future__ import annotations

from sinal_core.outbox.answers import Usage

SLOW_DOWN_PERCENT = 75.0  # from here on requests are spaced out
SPACING_MIN_S = 0.25  # between requests at 75 % of the quota
SPACING_MAX_S = 30.0  # at 100 %
THROTTLE_DEFAULT_S = 60.0  # where nothing says for how long
THROTTLE_CAP_S = 3_600.0


class Pacer:
    """Pacing of one destination."""

    def __init__(self, requests_per_second: float | None = None) -> None:
        self._rate = requests_per_second
        # at least one: a rate below one a second would never gather a whole token
        self._burst = max(1.0, requests_per_second or 1.0)
        self._tokens = self._burst
        self._refilled_at: float | None = None
        self._stopped_until = 0.0
        self._next_at = 0.0
        self._spacing_s = 0.0

    def wait_s(self, now: float) -> float:
        """0 when a request may leave now, else how long to wait before asking again."""
        return max(0.0, self._stopped_until - now, self._next_at - now, self._bucket_wait_s(now))

    def spend(self, now: float) -> None:
        """A request leaves."""
        self._refill(now)
        self._tokens -= 1
        self._next_at = now + self._spacing_s

    def observed(self, now: float, usage: Usage) -> None:
        """Take into account what an answer says of the quota."""
        self._spacing_s = spacing_s(usage.percent)
        # from this answer on: what was begun before it was spaced by what was known then
        self._next_at = max(self._next_at, now + self._spacing_s)
        if usage.percent >= 100 and usage.regain_s:
            self.stop(now, usage.regain_s)

    def stop(self, now: float, seconds: float | None) -> float:
        """Nothing leaves for that long (at most an hour at a time); returns the seconds."""
        wait_s = min(THROTTLE_DEFAULT_S if seconds is None else seconds, THROTTLE_CAP_S)
        self._stopped_until = max(self._stopped_until, now + wait_s)
        return wait_s

    def _bucket_wait_s(self, now: float) -> float:
        if self._rate is None:
            return 0.0
        self._refill(now)
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / self._rate

    def _refill(self, now: float) -> None:
        if self._rate is None:
            return
        since = 0.0 if self._refilled_at is None else now - self._refilled_at
        self._tokens = min(self._burst, self._tokens + since * self._rate)
        self._refilled_at = now


def spacing_s(percent: float) -> float:
    """Seconds between requests at that share of the quota: nothing below 75 %, growing
    geometrically to 100 %.
    """
    if percent < SLOW_DOWN_PERCENT:
        return 0.0
    share = min(1.0, (percent - SLOW_DOWN_PERCENT) / (100 - SLOW_DOWN_PERCENT))
    return float(SPACING_MIN_S * (SPACING_MAX_S / SPACING_MIN_S) ** share)
