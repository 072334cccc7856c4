"""Circuit breaker of one destination: stops sending where it cannot work, finds out by itself when it can again.

Closed: requests pass. Open: none does until a time. Half open: one probe at a time passes, its outcome decides. A run
of service failures opens it with a delay that grows with every failed probe; a dead credential opens it at once. Time
is the caller's monotonic clock, so that nothing here waits.
"""

from __future__ import annotations

import enum
import random

import msgspec

from sinal_core.aio.backoff import EQUAL, Backoff


class State(enum.IntEnum):
    """As the metric `sinal_breaker_state` shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When to open and for how long."""

    threshold: int = 5  # service failures in a row
    base_s: float = 5.0
    cap_s: float = 300.0
    pause_base_s: float = 15.0  # after a credential or configuration error
    probe_timeout_s: float = 60.0  # a probe that was never reported is given up


class Opening(msgspec.Struct, frozen=True):
    """A breaker that is not closed: what opened it, and from when on it may be tried (monotonic seconds)."""

    reason: str
    until: float


class Breaker:
    """State of one destination; every method takes the time in seconds."""

    def __init__(self, policy: Policy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        """Closed and without a past, as after a new token."""
        self.reason: str | None = None  # verdict kind that opened it
        self._failures = 0
        self._openings = 0
        self._open_until: float | None = None
        self._probe_since: float | None = None

    def state(self, now: float) -> State:
        """Where it stands."""
        if self._open_until is None:
            return State.CLOSED
        return State.OPEN if now < self._open_until else State.HALF_OPEN

    def opening(self) -> Opening | None:
        """What opened it and until when; None while it is closed."""
        return None if self._open_until is None else Opening(self.reason or "", self._open_until)

    def wait_s(self, now: float) -> float:
        """0 when a request may leave now, else how long to wait before asking again."""
        match self.state(now):
            case State.CLOSED:
                return 0.0
            case State.OPEN:
                assert self._open_until is not None  # noqa: S101 - what open means
                return self._open_until - now
            case State.HALF_OPEN if self._probing(now):
                return 1.0
            case _:
                return 0.0

    def begin(self, now: float) -> bool:
        """Take the right to send one request; in half-open only one holder at a time."""
        if self.wait_s(now) > 0:
            return False
        if self.state(now) is State.HALF_OPEN:
            self._probe_since = now
        return True

    def succeeded(self) -> None:
        """The destination answered as it should: closed."""
        self.reset()

    def try_now(self, now: float) -> None:
        """Somebody else's request went well: while it is open, the next request is the probe."""
        if self._open_until is not None:
            self._open_until = min(self._open_until, now)

    def release(self) -> None:
        """A probe that told nothing of the destination's health: the next request may be the probe."""
        self._probe_since = None

    def failed(self, now: float, reason: str) -> None:
        """The service failed; opens after `threshold` in a row, or at once when this was the probe."""
        self._failures += 1
        if self.state(now) is not State.OPEN and (
            self._open_until is not None or self._failures >= self._policy.threshold
        ):
            self._open(now, reason, self._policy.base_s)

    def pause(self, now: float, reason: str) -> None:
        """Nothing can work before somebody acts (credential, configuration): open at once."""
        if self.state(now) is not State.OPEN:
            self._open(now, reason, self._policy.pause_base_s)

    def _open(self, now: float, reason: str, base_s: float) -> None:
        self._openings += 1
        wait = Backoff(base_s=base_s, cap_s=self._policy.cap_s, jitter=EQUAL)  # never 0: an open breaker stays open
        self._open_until = now + wait.delay_s(self._openings, self._rng)
        self._probe_since = None
        self.reason = reason

    def _probing(self, now: float) -> bool:
        return self._probe_since is not None and now - self._probe_since < self._policy.probe_timeout_s
