"""What may be sent again is decided by state, age and what the caller has said, and by nothing
else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.services.replay_rules import WHY, Options, judge, sent_reason, unsent_action
from sinal_hub.store.replaying import LetterRow, SentRow, UnsentRow

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
PLAN = TenantPlan(
    slug="loja",
    namespace="n",
    name="loja",
    uid="u",
    destinations=(DestinationPlan(name="pixel", pixel_id="1"),),
)
STATES = ("pending", "sending", "delivered", "withheld", "dead")


def row(
    status: str, *, event_age: timedelta = timedelta(hours=1), settled_age: timedelta | None = None
) -> SentRow:
    return SentRow(
        tenant="loja",
        event="ev_1",
        id=1,
        created_at=NOW - event_age,
        destination="pixel",
        status=status,
        reason=None,
        generation=0,
        event_time=int((NOW - event_age).timestamp()),
        settled_at=None if settled_age is None else NOW - settled_age,
    )


def reason(one: SentRow, options: Options | None = None) -> str | None:
    return sent_reason(one, options=options or Options(), tenants={"loja": PLAN}, now=NOW)


@pytest.mark.parametrize(
    ("one", "options", "expected"),
    [
        (row("dead"), Options(), None),
        (row("withheld"), Options(), None),
        (row("pending"), Options(force=True), "in_flight"),
        (row("sending"), Options(force=True, confirm_duplicate=True), "in_flight"),
        (row("delivered", settled_age=timedelta(minutes=1)), Options(), "delivered"),
        (
            row("delivered", settled_age=timedelta(minutes=1)),
            Options(confirm_duplicate=True),
            "delivered",
        ),
        (row("delivered", settled_age=timedelta(hours=48)), Options(force=True), None),
        (
            row("delivered", settled_age=timedelta(hours=48, seconds=1)),
            Options(force=True),
            "delivered_long_ago",
        ),
        (
            row("delivered", settled_age=timedelta(days=5)),
            Options(force=True, confirm_duplicate=True),
            None,
        ),
        (row("delivered"), Options(force=True), "delivered_long_ago"),
        (row("dead", event_age=timedelta(days=7)), Options(), "too_old"),
        (row("dead", event_age=timedelta(days=7, seconds=-60)), Options(), None),
    ],
)
def test_a_row_of_the_outbox(one: SentRow, options: Options, expected: str | None) -> None:
    assert reason(one, options) == expected


def test_without_its_destination_or_tenant_it_goes_nowhere() -> None:
    gone = TenantPlan(slug="loja", namespace="n", name="loja", uid="u")
    for tenants in ({"loja": gone}, {}):
        assert (
            sent_reason(row("dead"), options=Options(), tenants=tenants, now=NOW)
            == "no_destination"
        )


@pytest.mark.parametrize(
    ("outcome", "why", "letter", "expected"),
    [
        ("dead", "internal_error", 7, ("hand_back", None)),
        ("dead", "internal_error", None, ("skip", "unreadable")),
        ("waiting", None, None, ("skip", "in_flight")),
        ("withheld", "review", None, ("skip", "review")),
        *[
            ("withheld", word, None, ("skip", "final"))
            for word in ("duplicate", "test", "ignored", "out_of_order")
        ],
        *[
            ("withheld", word, None, ("judge", None))
            for word in ("no_consent", "no_destination", "suspended", "policy")
        ],
    ],
)
def test_an_event_that_was_never_sent(
    outcome: str, why: str | None, letter: int | None, expected: tuple[str, str | None]
) -> None:
    event = UnsentRow(
        tenant="loja",
        event="ev_1",
        received_at=NOW,
        conversion_id=None,
        outcome=outcome,
        reason=why,
        letter=letter,
    )
    assert unsent_action(event) == expected


@given(
    st.lists(
        st.tuples(st.sampled_from(STATES), st.integers(0, 10 * 86_400), st.integers(0, 10 * 86_400))
    ),
    st.booleans(),
    st.booleans(),
)
def test_every_row_is_either_work_or_explained(
    rows: list[tuple[str, int, int]], force: bool, confirm_duplicate: bool
) -> None:
    given_rows = [
        row(state, event_age=timedelta(seconds=age), settled_age=timedelta(seconds=settled))
        for state, age, settled in rows
    ]
    options = Options(force=force, confirm_duplicate=confirm_duplicate)
    judged = judge(given_rows, [], [], options=options, tenants={"loja": PLAN}, now=NOW)
    assert judged.replayed == len(judged.work.rows)
    assert judged.replayed + sum(judged.skipped.values()) == len(rows)
    assert set(judged.skipped) <= set(WHY)
    assert all(one.status not in ("pending", "sending") for one in judged.work.rows)
    assert force or all(one.status != "delivered" for one in judged.work.rows)


def test_a_letter_without_an_event_or_a_body_is_told_apart() -> None:
    def letter(number: int, event: str | None, has_body: bool, stage: str = "match") -> LetterRow:
        return LetterRow(
            tenant="loja", letter=number, event=event, stage=stage, destination=None, capi_event_id=None,
            capi_created_at=None, has_body=has_body,
        )  # fmt: skip

    letters = [
        letter(1, "ev_1", True),
        letter(2, None, True),
        letter(3, "ev_3", False),
        letter(4, None, True, "dispatch"),
    ]
    judged = judge([], [], letters, options=Options(), tenants={}, now=NOW)
    assert judged.work.letters == [1]
    assert judged.skipped == {"unreadable": 3}
