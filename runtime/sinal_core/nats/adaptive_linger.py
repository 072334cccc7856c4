"""How long lanes wait: for a batch to fill, the longer the more batches a worker starts, and after
one that failed.

A batch costs a worker, the database and the receiver nearly the same for one event as for a
hundred. With few lanes a second of waiting is enough; with a thousand, each with an event now and
then, it makes batches of one event. There the wait grows with the rate of batches, until the lane's
own limit.
"""

from __future__ import annotations

import math

from sinal_core.aio.backoff import Backoff, Jitter

NAK = Backoff(base_s=1.0, cap_s=60.0, jitter=Jitter(0.75, 1.0))
FIRST_S = 1.0  # the longest wait while little is going on
CALM = 40.0  # batches a second up to which that is so
MEMORY_S = 2.0  # of the rate


class AdaptiveLinger:
    """The recent rate of a worker's batches."""

    def __init__(self) -> None:
        self._rate = 0.0  # a second, as of `_at`
        self._at = 0.0

    def started(self, now: float) -> None:
        """A batch has started; `now` is in monotonic seconds."""
        self._rate = self.rate(now) + 1 / MEMORY_S
        self._at = now

    def rate(self, now: float) -> float:
        """Batches a second, of late."""
        return self._rate * math.exp((self._at - now) / MEMORY_S)

    def linger_s(self, most_s: float, now: float) -> float:
        """How long the first message of a batch waits for others, of at most `most_s`."""
        return min(most_s, FIRST_S * max(1.0, self.rate(now) / CALM))


def nak_delay_s(deliveries: int) -> float:
    """1, 2, 4 … 60 s by how often it was delivered, less up to a quarter so that a failed batch
    spreads out.
    """
    return NAK.delay_s(deliveries)
