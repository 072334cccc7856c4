"""Back-off: it doubles up to a cap, jitter spreads it, and neither goes past its bounds."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sinal_core.aio.backoff import EQUAL, FULL, NONE, Backoff, Jitter

times = st.floats(0.001, 1e6)
jitters = st.sampled_from([NONE, EQUAL, FULL, Jitter(0.7, 1.3)])
backoffs = st.builds(
    lambda base_s, cap_s, jitter: Backoff(base_s=base_s, cap_s=cap_s, jitter=jitter),
    times,
    times,
    jitters,
)


@given(backoffs, st.integers(-5, 10_000))
def test_the_full_wait_doubles_with_each_failure_up_to_the_cap(
    backoff: Backoff, failures: int
) -> None:
    doubled = min(backoff.cap_s, backoff.base_s * 2 ** min(max(failures, 1) - 1, 60))
    assert backoff.full_s(failures) == doubled
    assert backoff.full_s(failures) <= backoff.full_s(failures + 1) <= backoff.cap_s


@given(backoffs, st.integers(-5, 10_000), st.integers())
def test_a_drawn_wait_stays_within_its_jitter(backoff: Backoff, failures: int, seed: int) -> None:
    full_s = backoff.full_s(failures)
    delay_s = backoff.delay_s(failures, random.Random(seed))
    assert full_s * backoff.jitter.least <= delay_s <= full_s * backoff.jitter.most


@given(backoffs, st.integers(1, 100), st.integers())
def test_the_same_dice_draw_the_same_wait(backoff: Backoff, failures: int, seed: int) -> None:
    assert backoff.delay_s(failures, random.Random(seed)) == backoff.delay_s(
        failures, random.Random(seed)
    )


def test_full_jitter_uses_the_whole_range_so_that_failures_do_not_return_together() -> None:
    dice, backoff = random.Random(1), Backoff(base_s=2.0, cap_s=900.0, jitter=FULL)
    delays = [backoff.delay_s(5, dice) for _ in range(2_000)]
    assert min(delays) < 1.0
    assert max(delays) > 31.0
    assert 14 < sum(delays) / len(delays) < 18


def test_equal_jitter_waits_for_half_at_least() -> None:
    dice, backoff = random.Random(1), Backoff(base_s=2.0, cap_s=900.0, jitter=EQUAL)
    delays = [backoff.delay_s(5, dice) for _ in range(2_000)]
    assert 16 <= min(delays) < 16.5
    assert 31.5 < max(delays) <= 32
