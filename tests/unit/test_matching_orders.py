"""An order's state: never back, and the same in the end whatever sequence its events arrive in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.matching.order_state import OrderState, advance
from sinal_hub.model.sale import RANK

# The order of states as the contract words it; equal ranks stand in one tuple.
LADDER = (
    ("lead",),
    ("initiate_checkout",),
    ("pending", "overdue"),
    ("refused", "canceled", "expired"),
    ("approved",),
    ("completed",),
    ("refund_requested",),
    ("partially_refunded",),
    ("refunded", "chargeback"),
    ("chargeback_won",),
)
NOTICES = (
    "subscription_renewed",
    "subscription_past_due",
    "subscription_canceled",
    "subscription_changed",
    "ignored",
)
STEP = {status: step for step, group in enumerate(LADDER) for status in group}
events = st.lists(
    st.tuples(st.sampled_from([*STEP, *NOTICES]), st.integers(0, 5)), min_size=1, max_size=8
)


def _end(sequence: list[tuple[str, int]]) -> OrderState:
    state = OrderState()
    for status, at in sequence:
        state, _ = advance(state, status, at)
    return state


@given(events)
def test_it_never_goes_back(sequence: list[tuple[str, int]]) -> None:
    state = OrderState()
    for status, at in sequence:
        after, move = advance(state, status, at)
        assert after.rank >= state.rank
        assert (move == "moved") == (after != state)
        overtaken = status == "approved" and state.status in ("completed", "chargeback_won")
        assert (move == "out_of_order") == (
            status in RANK and RANK[status] < state.rank and not overtaken
        )
        state = after


@given(events, st.randoms())
def test_the_final_state_does_not_depend_on_the_sequence(
    sequence: list[tuple[str, int]], random: object
) -> None:
    shuffled = list(sequence)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert _end(shuffled) == _end(sequence)


@given(events)
def test_a_repeat_changes_nothing(sequence: list[tuple[str, int]]) -> None:
    assert _end([*sequence, *sequence]) == _end(sequence)


@pytest.mark.parametrize(
    ("lower", "higher"), [(a, b) for a in STEP for b in STEP if STEP[a] < STEP[b]]
)
def test_every_step_of_the_contract_is_up(lower: str, higher: str) -> None:
    for pair in ([(lower, 1), (higher, 2)], [(higher, 1), (lower, 2)]):
        assert _end(pair).status == higher


@pytest.mark.parametrize("group", [group for group in LADDER if len(group) > 1])
def test_between_equals_the_later_one_stands(group: tuple[str, ...]) -> None:
    first, second, *_ = group
    assert _end([(first, 1), (second, 2)]).status == second
    assert _end([(second, 2), (first, 1)]).status == second


def test_a_refused_order_that_is_approved_is_approved() -> None:
    assert _end([("refused", 1), ("approved", 2)]).effective == "approved"


def test_a_chargeback_that_was_won_restores_the_approval() -> None:
    assert _end([("approved", 1), ("chargeback", 2), ("chargeback_won", 3)]).effective == "approved"
    assert _end([("chargeback_won", 3), ("chargeback", 2)]).effective == "approved"
    assert _end([("approved", 1), ("chargeback", 2)]).effective == "chargeback"


@pytest.mark.parametrize("notice", NOTICES)
def test_notices_never_move_an_order(notice: str) -> None:
    assert advance(OrderState("approved", 1), notice, 9) == (OrderState("approved", 1), "kept")
