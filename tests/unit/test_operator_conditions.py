"""Conditions: nothing changes while nothing changes, times move with statuses only, others'
conditions stay.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sinal_operator.cluster.conditions import (
    CREDENTIALS,
    PAUSED,
    PROVISIONED,
    READY,
    ConditionVerdict,
    find,
    merged,
)
from sinal_operator.cluster.event_recorder import turn

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALIEN = {
    "type": "Audited",
    "status": "True",
    "reason": "ByHand",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}

verdicts = st.lists(
    st.builds(
        ConditionVerdict,
        type=st.sampled_from([READY, PROVISIONED, CREDENTIALS, PAUSED]),
        state=st.sampled_from(["True", "False", "Unknown"]),
        reason=st.sampled_from(["Ready", "SlugTaken", "TenantNotFound"]),
        message=st.text(max_size=20),
    ),
    unique_by=lambda verdict: verdict.type,
)


def ready(state: Any = "True", reason: str = "Ready", message: str = "fine") -> ConditionVerdict:
    return ConditionVerdict(READY, state, reason, message)


def write(
    current: list[dict[str, Any]], *found: ConditionVerdict, at: datetime = NOW, **options: Any
) -> list[dict[str, Any]]:
    return merged(current, found, **{"generation": 1, "now": at, **options})


@given(verdicts, st.booleans())
def test_the_same_verdicts_later_give_the_same_list(
    found: list[ConditionVerdict], partial: bool
) -> None:
    once = write([ALIEN], *found)
    assert write(once, *found, at=LATER, partial=partial) == once


@given(verdicts, verdicts)
def test_conditions_of_other_writers_are_never_touched(
    first: list[ConditionVerdict], then: list[ConditionVerdict]
) -> None:
    assert ALIEN in write(write([ALIEN], *first), *then, at=LATER)


@given(verdicts, verdicts)
def test_the_transition_time_moves_exactly_with_the_status(
    first: list[ConditionVerdict], then: list[ConditionVerdict]
) -> None:
    before = write([], *first)
    for condition in write(before, *then, at=LATER):
        old = find(before, condition["type"])
        moved = old.get("status") != condition["status"]
        assert condition["lastTransitionTime"] == (
            "2026-11-22T13:00:00Z" if moved else old["lastTransitionTime"]
        )


def test_a_condition_says_which_generation_it_judged() -> None:
    (condition,) = write([], ready(), generation=7)
    assert condition["observedGeneration"] == 7


def test_what_is_not_found_any_more_goes_and_stays_in_a_partial_judgement() -> None:
    both = write([], ready(), ConditionVerdict(PAUSED, "True", "Paused", ""))
    assert [c["type"] for c in write(both, ready())] == [READY]
    paused = ConditionVerdict(PAUSED, "True", "Paused", "")
    assert [c["type"] for c in write(write([], ready()), paused, partial=True)] == [READY, PAUSED]


def test_a_message_of_any_length_fits_into_the_schema() -> None:
    (condition,) = write([], ready(message="x" * 100_000))
    assert len(condition["message"]) <= 32_768


def test_an_event_tells_of_a_change_of_ready_once() -> None:
    bad = write([], ready("False", "SecretNotFound", "create it"))
    assert turn([], bad) == ("Warning", "SecretNotFound", "create it")
    assert (
        turn(bad, write(bad, ready("False", "SecretNotFound", "create it, please"), at=LATER))
        is None
    )
    assert turn(bad, write(bad, ready())) == ("Normal", "Ready", "fine")
    assert turn([], write([], ready("Unknown", "Pending"))) is None
    assert turn([], write([], ready())) is None
    assert turn(write([], ready("True", "Suspended")), write([], ready())) == (
        "Normal",
        "Ready",
        "fine",
    )


def test_deleting_is_no_news_to_who_deletes() -> None:
    assert turn(write([], ready()), write([], ready("False", "Deleting"))) is None
