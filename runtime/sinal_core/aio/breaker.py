"""Circuit breaker: stops asking a service that cannot answer, and finds out by itself when it can
again.

Closed: requests pass. Open: none does until a time. Half open: one probe at a time passes, its
outcome decides. A run of failures opens it with a delay that grows with every failed probe; what a
person must put right opens it at once. Time is the caller's monotonic clock, given to each method,
so that nothing here waits.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

from sinal_core.aio.backoff import EQUAL, Backoff, Dice, Jitter

_PROBED_S = 1.0  # until somebody who finds a probe under way asks again


class BreakerState(enum.IntEnum):
    """Where a breaker stands; metrics show the number."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """When to open and for how long."""

    threshold: int  # failures in a row
    base_s: float
    cap_s: float
    jitter: Jitter = EQUAL  # a breaker that could open for no time would not be open
    # after what a person must put right; None: as after a failure
    pause_base_s: float | None = None
    probe_timeout_s: float = 60.0  # a probe that was never reported is given up


@dataclass(frozen=True, slots=True)
class Opening:
    """A breaker that is not closed: what opened it, and from when on it may be tried (monotonic
    seconds).
    """

    reason: str
    until: float


class Breaker:
    """State of one service; methods take the time in seconds."""

    def __init__(self, policy: Policy, dice: Dice = random) -> None:
        self._policy = policy
        self._dice = dice
        self.reset()

    def reset(self) -> None:
        """Close it and forget its past, as after a new token."""
        self.reason: str | None = None  # of the last opening
        self._failures = 0
        self._openings = 0
        self._open_until: float | None = None
        self._probe_since: float | None = None

    @property
    def closed(self) -> bool:
        """Whether requests pass as always."""
        return self._open_until is None

    def state(self, now: float) -> BreakerState:
        """Tell where it stands."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._open_until else BreakerState.HALF_OPEN

    def opening(self) -> Opening | None:
        """What opened it and until when; None while it is closed."""
        return None if self._open_until is None else Opening(self.reason or "", self._open_until)

    def wait_s(self, now: float) -> float:
        """0 when a request may leave now, else how long to wait before asking again."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                assert self._open_until is not None  # noqa: S101 - what open means
                return self._open_until - now
            case BreakerState.HALF_OPEN if self._probing(now):
                return _PROBED_S
            case _:
                return 0.0

    def begin(self, now: float) -> bool:
        """Take the right to send one request; in half-open only one holder at a time."""
        if self.wait_s(now) > 0:
            return False
        if self.state(now) is BreakerState.HALF_OPEN:
            self._probe_since = now
        return True

    def succeeded(self) -> None:
        """Take an answer as it should be: closed."""
        self.reset()

    def try_now(self, now: float) -> None:
        """Somebody else's request went well: while it is open, the next request is the probe."""
        if self._open_until is not None:
            # not closed outright: what another was answered does not prove that this process gets
            # through, so one probe finds out
            self._open_until = min(self._open_until, now)

    def release(self) -> None:
        """Give up a probe that told nothing of the service: the next request may be the probe."""
        self._probe_since = None

    def failed(self, now: float, reason: str) -> None:
        """Take a failure; opens after `threshold` in a row, or at once when this was the probe."""
        self._failures += 1
        # Requests that had left before it opened still come back as failures. They must not open it
        # again: each opening doubles the wait.
        if self.state(now) is not BreakerState.OPEN and (
            self._open_until is not None or self._failures >= self._policy.threshold
        ):
            self._open(now, reason, self._policy.base_s)

    def pause(self, now: float, reason: str) -> None:
        """Open at once: nothing can work before somebody acts, as with a dead credential."""
        base_s = self._policy.pause_base_s
        if self.state(now) is not BreakerState.OPEN:
            self._open(now, reason, self._policy.base_s if base_s is None else base_s)

    def _open(self, now: float, reason: str, base_s: float) -> None:
        self._openings += 1
        wait = Backoff(base_s=base_s, cap_s=self._policy.cap_s, jitter=self._policy.jitter)
        self._open_until = now + wait.delay_s(self._openings, self._dice)
        self._probe_since = None
        self.reason = reason

    def _probing(self, now: float) -> bool:
        return (
            self._probe_since is not None and now - self._probe_since < self._policy.probe_timeout_s
        )
