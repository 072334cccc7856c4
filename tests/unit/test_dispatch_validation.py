"""What is stopped before sending, and what is repaired: Meta's limits on age, clock, people and
money.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sinal_hub.meta.repairs import without_culprit
from sinal_hub.meta.validation import InvalidEvent, check

NOW = 1_795_348_800.0
DAY = 86_400

GOOD: dict[str, Any] = {
    "event_name": "Purchase",
    "event_time": int(NOW) - 60,
    "event_id": "e1",
    "action_source": "website",
    "event_source_url": "https://loja.example/",
    "user_data": {
        "em": ["a" * 64],
        "client_user_agent": "Mozilla/5.0",
        "fbc": "fb.1.1795345200000.IwAR1",
    },
    "custom_data": {"value": 297.0, "currency": "BRL", "contents": [{"id": "1", "quantity": 1}]},
}


def event(path: str = "", value: Any = None) -> dict[str, Any]:
    """A good event, changed at a dotted path; None removes."""
    changed = copy.deepcopy(GOOD)
    if path:
        *parents, last = path.split(".")
        target = changed
        for parent in parents:
            target = target[parent]
        target.pop(last) if value is None else target.update({last: value})
    return changed


def test_a_good_event_passes_unchanged() -> None:
    assert check(GOOD, NOW) == GOOD


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("event_time", int(NOW) - 7 * DAY - 1, "too_old"),
        ("event_time", int(NOW) - 7 * DAY, "too_old"),
        ("event_time", int(NOW) + 61, "rejected"),
        ("event_time", 1.5, "rejected"),
        ("event_time", None, "rejected"),
        ("event_name", "", "rejected"),
        ("event_id", None, "rejected"),
        ("action_source", "web", "rejected"),
        ("event_source_url", None, "rejected"),
        ("user_data.client_user_agent", None, "rejected"),
        ("user_data", None, "rejected"),
        ("user_data", {"client_user_agent": "x", "country": ["b" * 64]}, "unidentifiable"),
        ("user_data.em", ["ana@x.com"], "rejected"),
        ("user_data.em", ["A" * 64], "rejected"),
        ("custom_data.value", None, "rejected"),
        ("custom_data.currency", None, "rejected"),
        ("custom_data", None, "rejected"),
        ("custom_data.value", "297.00", "rejected"),
        ("custom_data.value", -1.0, "rejected"),
        ("custom_data.value", float("nan"), "rejected"),
        ("custom_data.currency", "R$", "rejected"),
        ("custom_data.contents", [{"quantity": 1}], "rejected"),
    ],
)
def test_what_meta_would_refuse_is_stopped_with_a_stable_reason(
    path: str, value: Any, reason: str
) -> None:
    with pytest.raises(InvalidEvent) as caught:
        check(event(path, value), NOW)
    assert caught.value.reason == reason
    assert "ana@x.com" not in str(caught.value)


def test_almost_seven_days_is_not_too_old() -> None:
    assert (
        check(event("event_time", int(NOW) - 7 * DAY + 120), NOW)["event_time"]
        == int(NOW) - 7 * DAY + 120
    )


def test_a_store_visit_may_be_two_months_old() -> None:
    old = event("event_time", int(NOW) - 61 * DAY) | {"action_source": "physical_store"}
    assert check(old, NOW)["event_time"] == old["event_time"]
    with pytest.raises(InvalidEvent):
        check(old | {"event_time": int(NOW) - 63 * DAY}, NOW)


def test_a_clock_a_little_ahead_is_set_to_now() -> None:
    assert check(event("event_time", int(NOW) + 60), NOW)["event_time"] == int(NOW)


def test_an_fbc_that_became_unusable_is_left_out_and_the_event_stays() -> None:
    checked = check(event("user_data.fbc", "fb.1.1.x"), NOW)
    assert "fbc" not in checked["user_data"]
    assert checked["user_data"]["em"] == ["a" * 64]


def test_a_lead_needs_no_money() -> None:
    assert check(event("event_name", "Lead") | {"custom_data": {}}, NOW)


def test_a_refused_click_id_is_dropped_once() -> None:
    better = without_culprit(GOOD, 2804001)
    assert better is not None
    assert "fbc" not in better["user_data"]
    assert "fbc" in GOOD["user_data"]
    assert without_culprit(better, 2804001) is None


def test_an_item_without_id_is_dropped_and_the_others_stay() -> None:
    better = without_culprit(event("custom_data.contents", [{"quantity": 1}, {"id": "2"}]), 2804008)
    assert better is not None
    assert better["custom_data"]["contents"] == [{"id": "2"}]


def test_other_errors_have_no_remedy() -> None:
    assert without_culprit(GOOD, 2804019) is None
    assert without_culprit(GOOD, None) is None
