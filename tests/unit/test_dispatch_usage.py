"""Meta's usage headers: each has its own unit, and none of them may break an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.outbox.answers import Usage
from sinal_core.outbox.pacing import Pacer, spacing_s
from sinal_hub.meta.usage import read


def test_the_fullest_bucket_counts() -> None:
    headers = {
        "x-app-usage": json.dumps({"call_count": 28, "total_cputime": 91, "total_time": 25}),
        "x-business-use-case-usage": json.dumps(
            {"1": [{"type": "ads_management", "call_count": 40}]}
        ),
        "x-ad-account-usage": json.dumps({"acc_id_util_pct": 9.67}),
    }
    assert read(headers) == Usage(percent=91.0)


def test_regain_access_is_told_in_minutes() -> None:
    bucket = {"type": "ads_management", "call_count": 100, "estimated_time_to_regain_access": 19}
    headers = {"x-business-use-case-usage": json.dumps({"42": [bucket]})}
    assert read(headers) == Usage(percent=100.0, regain_s=19 * 60.0)


def test_the_reset_of_an_account_is_told_in_seconds_and_waited_for_only_when_nothing_is_left() -> (
    None
):
    half = {"x-ad-account-usage": json.dumps({"acc_id_util_pct": 50, "reset_time_duration": 120})}
    full = {"x-ad-account-usage": json.dumps({"acc_id_util_pct": 100, "reset_time_duration": 120})}
    assert read(half).regain_s is None
    assert read(full).regain_s == 120.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("\u00b2", None),
        ("\u0663", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    noon = 1_795_348_800.0  # 2026-11-22T12:00:00Z
    assert read({"retry-after": value}, now=noon).regain_s == seconds


@given(
    st.dictionaries(
        st.sampled_from(
            ["x-app-usage", "x-business-use-case-usage", "x-ad-account-usage", "retry-after"]
        ),
        st.text(),
    )
)
def test_unreadable_headers_are_silence(headers: dict[str, str]) -> None:
    assert read(headers).percent >= 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_json_of_any_shape_is_survived(value: object) -> None:
    text = json.dumps(value)
    read({"x-app-usage": text, "x-business-use-case-usage": text, "x-ad-account-usage": text})


def test_from_three_quarters_of_the_quota_on_requests_are_spaced_out() -> None:
    assert spacing_s(74.9) == 0.0
    assert 0 < spacing_s(75) < spacing_s(90) < spacing_s(100) == spacing_s(180)
    pacer = Pacer()
    pacer.observed(0.0, Usage(percent=95))
    assert pacer.wait_s(0.0) > 1.0
    pacer.observed(0.0, Usage(percent=10))
    pacer.spend(100.0)
    assert pacer.wait_s(100.0) == 0.0


def test_a_stop_lasts_as_long_as_meta_said() -> None:
    pacer = Pacer()
    pacer.stop(0.0, 300.0)
    assert pacer.wait_s(299.0) == pytest.approx(1.0)
    assert pacer.wait_s(300.0) == 0.0


@given(rate=st.floats(0.1, 50), steps=st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_the_plans_rate_is_never_exceeded(rate: float, steps: list[float]) -> None:
    """Over any span no more than the burst and the rate's share leave."""
    pacer, now, sent = Pacer(rate), 0.0, 0
    for step in steps:
        now += step
        while pacer.wait_s(now) == 0.0:
            pacer.spend(now)
            sent += 1
    assert sent <= max(1.0, rate) + rate * now + 1e-6
