"""Breaker: when sending stops, how long, and that it always starts again."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sinal_hub.dispatch.breaker import Breaker, Policy, State

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
    assert b.state(0) is State.CLOSED
    b.failed(0, "retry")
    assert b.state(0) is State.OPEN
    assert not b.begin(0)


def test_a_dead_token_opens_it_at_once() -> None:
    b = breaker()
    b.pause(0, "credential")
    assert b.state(0) is State.OPEN
    assert 7.5 <= b.wait_s(0) <= 15


def test_half_open_lets_one_probe_pass_and_its_success_closes() -> None:
    b = breaker()
    b.pause(0, "credential")
    later = b.wait_s(0)
    assert b.state(later) is State.HALF_OPEN
    assert b.begin(later)
    assert not b.begin(later)
    b.succeeded()
    assert b.begin(later)
    assert b.state(later) is State.CLOSED


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


class BreakerMachine(RuleBasedStateMachine):
    """Whatever happens: it never blocks for longer than the cap, and lets one request pass in half-open."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = breaker(7)
        self.now = 0.0
        self.probes = 0

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def request(self) -> None:
        state = self.breaker.state(self.now)
        passed = self.breaker.begin(self.now)
        assert passed == (state is State.CLOSED) or state is State.HALF_OPEN
        if state is State.OPEN:
            assert not passed

    @rule(kind=st.sampled_from(["failed", "pause"]))
    def fail(self, kind: str) -> None:
        getattr(self.breaker, kind)(self.now, "retry")

    @precondition(lambda self: self.breaker.state(self.now) is not State.OPEN)
    @rule()
    def succeed(self) -> None:
        self.breaker.succeeded()
        assert self.breaker.wait_s(self.now) == 0.0

    @invariant()
    def never_stuck(self) -> None:
        wait_s = self.breaker.wait_s(self.now)
        assert 0 <= wait_s <= POLICY.cap_s
        assert self.breaker.wait_s(self.now + POLICY.cap_s + POLICY.probe_timeout_s) == 0.0


TestBreakerMachine = BreakerMachine.TestCase
