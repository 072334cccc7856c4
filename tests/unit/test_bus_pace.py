"""How long a lane lingers: a second where there is little to do, up to its own limit where there is
much.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.nats.adaptive_linger import CALM, FIRST_S, AdaptiveLinger


def steady(rate: float, *, seconds: float = 30.0) -> tuple[AdaptiveLinger, float]:
    """A pace after so many batches a second for a while, and the time it has become."""
    pace, now = AdaptiveLinger(), 0.0
    while now < seconds:
        now += 1 / rate
        pace.started(now)
    return pace, now


@pytest.mark.parametrize("rate", [1.0, 10.0, 200.0])
def test_it_knows_the_rate_of_batches(rate: float) -> None:
    pace, now = steady(rate)
    assert pace.rate(now) == pytest.approx(rate, abs=0.5)


def test_a_calm_worker_waits_a_second_at_most() -> None:
    pace, now = steady(CALM / 2)
    assert pace.linger_s(5.0, now) == FIRST_S
    assert pace.linger_s(0.2, now) == 0.2
    assert AdaptiveLinger().linger_s(5.0, 1_000.0) == FIRST_S


def test_a_busy_worker_waits_for_fuller_batches_up_to_the_limit_of_the_lane() -> None:
    pace, now = steady(3 * CALM)
    assert pace.linger_s(60.0, now) == pytest.approx(3.0, abs=0.1)
    assert pace.linger_s(2.0, now) == 2.0


def test_it_is_calm_again_after_a_while() -> None:
    pace, now = steady(10 * CALM)
    assert pace.linger_s(60.0, now + 10) == FIRST_S


@given(st.lists(st.floats(0, 1)), st.floats(0, 60), st.floats(0, 10))
def test_nobody_waits_longer_than_its_limit(
    gaps: list[float], most_s: float, later_s: float
) -> None:
    pace, now = AdaptiveLinger(), 0.0
    for gap in gaps:
        now += gap
        pace.started(now)
    assert 0 <= pace.linger_s(most_s, now + later_s) <= most_s
