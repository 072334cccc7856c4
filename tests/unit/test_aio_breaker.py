"""Breaker: when sending stops, how long, and that it always starts again."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sinal_core.aio.backoff import NONE
from sinal_core.aio.breaker import Breaker, BreakerState, Policy

POLICY = Policy(threshold=3, base_s=5.0, cap_s=100.0, pause_base_s=15.0, probe_timeout_s=60.0)


def breaker(seed: int = 0) -> Breaker:
    return Breaker(POLICY, random.Random(seed))


def test_failures_in_a_row_open_it_and_a_success_between_does_not() -> None:
    b = breaker()
    b.failed(0, "retry")
    b.failed(0, "retry")
    b.succeeded()
    b.failed(0, "retry")
    b.failed(0, "retry")
    assert b.state(0) is BreakerState.CLOSED
    b.failed(0, "retry")
    assert b.state(0) is BreakerState.OPEN
    assert not b.begin(0)


def test_a_dead_token_opens_it_at_once() -> None:
    b = breaker()
    b.pause(0, "credential")
    assert b.state(0) is BreakerState.OPEN
    assert 7.5 <= b.wait_s(0) <= 15


def test_half_open_lets_one_probe_pass_and_its_success_closes() -> None:
    b = breaker()
    b.pause(0, "credential")
    later = b.wait_s(0)
    assert b.state(later) is BreakerState.HALF_OPEN
    assert b.begin(later)
    assert not b.begin(later)
    b.succeeded()
    assert b.begin(later)
    assert b.state(later) is BreakerState.CLOSED


def test_failed_probes_wait_longer_each_time_up_to_the_cap() -> None:
    b = breaker()
    b.pause(0, "credential")
    now, waits = 0.0, []
    for _ in range(6):
        waits.append(b.wait_s(now))
        now += waits[-1]
        assert b.begin(now)
        b.pause(now, "credential")
    assert waits[0] < waits[2] < waits[4]
    assert max(waits) <= POLICY.cap_s


def test_a_probe_that_needed_no_request_makes_room_for_the_next() -> None:
    b = breaker()
    b.pause(0, "credential")
    later = b.wait_s(0)
    assert b.begin(later)
    b.release()
    assert b.begin(later)


def test_a_success_elsewhere_lets_the_next_request_be_the_probe() -> None:
    b = breaker()
    b.pause(0, "credential")
    b.try_now(1)
    assert b.state(1) is BreakerState.HALF_OPEN
    assert b.begin(1)
    assert not b.begin(1)


def test_without_jitter_and_growth_it_is_asked_at_a_steady_pace() -> None:
    b, now = Breaker(Policy(threshold=1, base_s=0.5, cap_s=0.5, jitter=NONE)), 0.0
    for _ in range(20):
        assert b.begin(now)
        b.failed(now, "unavailable")
        assert b.wait_s(now) == 0.5
        now += 0.5


class BreakerMachine(RuleBasedStateMachine):
    """Whatever happens: it never blocks for longer than the cap, and lets one request pass in
    half-open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaker = breaker(7)
        self.now = 0.0
        self.probe_since: float | None = None

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def request(self) -> None:
        state = self.breaker.state(self.now)
        probing = (
            self.probe_since is not None and self.now - self.probe_since < POLICY.probe_timeout_s
        )
        passed = self.breaker.begin(self.now)
        assert passed == (
            state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and not probing)
        )
        if passed and state is BreakerState.HALF_OPEN:
            self.probe_since = self.now

    @rule(kind=st.sampled_from(["failed", "pause"]))
    def fail(self, kind: str) -> None:
        before = self.breaker.state(self.now)
        getattr(self.breaker, kind)(self.now, "retry")
        after = self.breaker.state(self.now)
        assert after is BreakerState.OPEN or (before is BreakerState.CLOSED and kind == "failed")
        if before is not BreakerState.OPEN:
            self.probe_since = None

    @precondition(lambda self: self.breaker.state(self.now) is not BreakerState.OPEN)
    @rule()
    def succeed(self) -> None:
        self.breaker.succeeded()
        self.probe_since = None
        assert self.breaker.wait_s(self.now) == 0.0

    @rule()
    def release(self) -> None:
        self.breaker.release()
        self.probe_since = None

    @rule()
    def try_now(self) -> None:
        self.breaker.try_now(self.now)
        assert self.breaker.state(self.now) is not BreakerState.OPEN

    @invariant()
    def closed_is_said_in_one_way(self) -> None:
        closed = self.breaker.state(self.now) is BreakerState.CLOSED
        assert (
            closed
            == self.breaker.closed
            == (self.breaker.opening() is None)
            == (self.breaker.reason is None)
        )

    @invariant()
    def never_stuck(self) -> None:
        wait_s = self.breaker.wait_s(self.now)
        assert 0 <= wait_s <= POLICY.cap_s
        assert self.breaker.wait_s(self.now + POLICY.cap_s + POLICY.probe_timeout_s) == 0.0


TestBreakerMachine = BreakerMachine.TestCase
