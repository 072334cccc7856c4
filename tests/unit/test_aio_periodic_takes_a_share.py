"""A task that costs little is done often, one that costs much no more often than it may."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from sinal_core.aio.duty_cycle import SHARE
from sinal_core.aio.periodic import PeriodicTask


async def work(since: datetime | None) -> None:
    """Nothing."""


def test_a_task_with_one_rhythm_keeps_it() -> None:
    assert PeriodicTask("plain", 120, work).due_in_s(60) == 120


@given(st.floats(0, 1_000))
def test_a_task_takes_its_share_of_the_time_unless_that_would_be_too_seldom(took_s: float) -> None:
    due_in_s = PeriodicTask("adaptive", 120, work, least_s=10).due_in_s(took_s)
    assert 10 <= due_in_s <= 120
    assert took_s <= due_in_s * SHARE * 1.000_001 or due_in_s == 120


def test_a_task_may_have_a_share_of_its_own() -> None:
    assert PeriodicTask("modest", 300, work, least_s=10, share=1 / 50).due_in_s(2) == 100
