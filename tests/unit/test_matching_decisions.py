"""Rules that stop an event, thresholds and policies, the value that Meta sees, ids and claims."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sinal_crds.plan import (
    DEFAULT_EVENTS,
    ConsentPlan,
    DestinationPlan,
    FunnelPlan,
    MatchingPlan,
    TenantPlan,
    ValuePlan,
)
from sinal_hub.matching import decision as rules
from sinal_hub.matching.outbox_rows import pack
from sinal_hub.matching.values import worth
from sinal_hub.model.events import Event, UserData
from sinal_hub.model.evidence import fbclid_of, subject_of
from sinal_hub.model.sale import Customer, Sale, Tracking

from tests.support.sales import fields_of

EMAIL = hashlib.sha256(b"ana@example.com").hexdigest()
FUNNEL = FunnelPlan(
    name="curso",
    type="sales",
    public_key="fk",
    server_key_sha256="0" * 64,
    destinations=("a", "b", "gone"),
    events=dict(DEFAULT_EVENTS),
)
TENANT = TenantPlan(
    slug="loja",
    namespace="n",
    name="Loja",
    uid="u",
    destinations=(DestinationPlan(name="a", pixel_id="1"), DestinationPlan(name="b", pixel_id="2")),
    funnels=(FUNNEL,),
)


def sale_event(status: str = "approved", **fields: Any) -> Event:
    sale = msgspec.convert(
        {
            "gateway": "hotmart",
            "event": "X",
            "event_key": "k",
            "status": status,
            "order_id": "HP1",
            "value": "297.00",
            "currency": "BRL",
            "occurred_at": "2025-05-02T13:04:05Z",
            "customer": {"em": [EMAIL]},
            **fields,
        },
        Sale,
    )
    return Event(
        id="ev_1", key="k", kind="sale", tenant="loja", funnel="curso", received_at=1_746_191_045_000,
        occurred_at=1_746_191_045_000, source="webhook", **fields_of(sale),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (1.0, "match"),
        (0.85, "match"),
        (0.8499, "review"),
        (0.60, "review"),
        (0.5999, "unmatched"),
        (0.0, "unmatched"),
    ],
)
def test_thresholds(score: float, decision: str) -> None:
    assert rules.decide(score, MatchingPlan()) == decision


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("approved", "Purchase"),
        ("subscription_renewed", "Purchase"),
        ("initiate_checkout", "InitiateCheckout"),
        ("lead", "Lead"),
        ("pending", "AddPaymentInfo"),
    ],
)
def test_statuses_that_meta_hears_of(status: str, name: str) -> None:
    verdict = rules.sale_rules(TENANT, FUNNEL, sale_event(status))
    assert (verdict.action, verdict.event_name) == ("send", name)


@pytest.mark.parametrize(
    "status",
    [
        "completed",
        "refused",
        "canceled",
        "expired",
        "overdue",
        "refunded",
        "chargeback",
        "chargeback_won",
    ],
)
def test_statuses_that_meta_does_not_hear_of(status: str) -> None:
    assert rules.sale_rules(TENANT, FUNNEL, sale_event(status)) == rules.withhold("policy")


@pytest.mark.parametrize("fields", [{"renewal": True}, {"status": "subscription_renewed"}])
def test_renewals_follow_the_setting(fields: dict[str, Any]) -> None:
    funnel = msgspec.structs.replace(FUNNEL, send_renewals=False)
    assert rules.sale_rules(TENANT, funnel, sale_event(**fields)) == rules.withhold("policy")


@pytest.mark.parametrize(
    ("decision", "plan", "may_wait", "expected"),
    [
        (
            "match",
            {"unmatched": "Drop", "review": "Hold", "wait_for_click_s": 9},
            True,
            ("send", None),
        ),
        ("review", {"review": "Send"}, True, ("send", None)),
        ("review", {"review": "Hold", "wait_for_click_s": 9}, True, ("withhold", "review")),
        ("unmatched", {"unmatched": "Send"}, True, ("send", None)),
        ("unmatched", {"unmatched": "Drop"}, True, ("withhold", "unmatched")),
        ("unmatched", {"unmatched": "Send", "wait_for_click_s": 9}, True, ("wait", None)),
        ("unmatched", {"unmatched": "Drop", "wait_for_click_s": 9}, True, ("wait", None)),
        ("unmatched", {"unmatched": "Send", "wait_for_click_s": 9}, False, ("send", None)),
        (
            "unmatched",
            {"unmatched": "Drop", "wait_for_click_s": 9},
            False,
            ("withhold", "unmatched"),
        ),
    ],
)
def test_policies(decision: rules.Decision, plan: Any, may_wait: bool, expected: Any) -> None:
    verdict = rules.match_rules(
        rules.Verdict("send"), decision, MatchingPlan(**plan), may_wait=may_wait
    )
    assert (verdict.action, verdict.reason) == expected


@pytest.mark.parametrize(
    ("decision", "review", "used"),
    [
        ("match", "Hold", True),
        ("review", "Send", True),
        ("review", "Hold", False),
        ("unmatched", "Send", False),
    ],
)
def test_whose_click_data_goes_along(decision: rules.Decision, review: Any, used: bool) -> None:
    assert rules.uses_click(decision, MatchingPlan(review=review)) is used


@pytest.mark.parametrize("said", [True, False, None])
@pytest.mark.parametrize("click", [True, False, None])
@pytest.mark.parametrize("default", ["Granted", "Denied"])
def test_consent_is_the_events_then_the_clicks_then_the_default(
    said: bool | None, click: bool | None, default: Any
) -> None:
    funnel = msgspec.structs.replace(FUNNEL, consent=ConsentPlan(default=default))
    verdict = rules.consent_rules(funnel, rules.Verdict("send"), said, click)
    granted = next((word for word in (said, click) if word is not None), default == "Granted")
    assert verdict.action == ("send" if granted else "withhold")
    assert verdict.reason == (None if granted else "no_consent")


def test_a_click_is_never_sent_even_if_the_funnel_names_it() -> None:
    funnel = msgspec.structs.replace(FUNNEL, events={"click": "Lead"})
    click = Event(
        id="e",
        key="k",
        kind="click",
        tenant="loja",
        funnel="curso",
        received_at=0,
        occurred_at=0,
        source="browser",
    )
    assert rules.visit_rules(TENANT, funnel, click) == rules.withhold("policy")


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (ValuePlan(), ("297.00", "BRL")),
        (ValuePlan(multiplier="0.5"), ("148.50", "BRL")),
        (ValuePlan(multiplier="0.333"), ("98.90", "BRL")),
        (ValuePlan(source="Fixed", fixed="50", currency="USD"), ("50.00", "USD")),
        (ValuePlan(source="Fixed", fixed="50", currency="USD", multiplier="2"), ("50.00", "USD")),
    ],
)
def test_value_rules(plan: ValuePlan, expected: tuple[str, str]) -> None:
    assert worth("297.00", "BRL", plan) == expected


def test_money_is_rounded_half_up_and_never_through_floats() -> None:
    assert worth("0.35", "BRL", ValuePlan(multiplier="0.1"))[0] == "0.04"
    assert worth("99999999999999.99", "BRL", ValuePlan())[0] == "99999999999999.99"
    assert worth(None, "BRL", ValuePlan()) == (None, "BRL")


def _pack(event: Event, name: str) -> Any:
    return pack(
        TENANT,
        FUNNEL,
        event,
        rules.Verdict("send", None, name),
        click=None,
        conversion_id=7,
        now=datetime.now(UTC),
    )


def test_the_id_of_a_sale_is_the_promised_hash() -> None:
    parcel = _pack(sale_event(), "Purchase")
    assert parcel.event_id == hashlib.sha256(b"loja|HP1|Purchase|297.00|BRL").hexdigest()
    assert [row.destination for row in parcel.rows] == ["a", "b"]
    assert {row.event_time for row in parcel.rows} == {1_746_191_045}


def test_a_purchase_is_claimed_for_its_order_and_for_ever() -> None:
    one, other = _pack(sale_event(), "Purchase"), _pack(sale_event(value="1.00"), "Purchase")
    assert one.claim.key == other.claim.key
    assert one.claim.expires_at is None
    assert one.event_id != other.event_id
    elsewhere = _pack(sale_event(gateway="kiwify"), "Purchase")
    assert elsewhere.claim.key != one.claim.key


def test_a_sale_without_an_order_stands_for_itself() -> None:
    assert _pack(sale_event(order_id=None), "Purchase").event_id == "ev_1"


def test_a_visit_is_sent_under_the_pixels_id() -> None:
    lead = Event(
        id="ev_2", key="k", kind="lead", tenant="loja", funnel="curso", received_at=0, occurred_at=0, source="browser",
        event_id="abc", user=UserData(em=[EMAIL]),
    )  # fmt: skip
    assert _pack(lead, "Lead").event_id == "abc"
    assert _pack(msgspec.structs.replace(lead, event_id=None), "Lead").event_id == "ev_2"


def test_the_evidence_of_an_order_does_not_depend_on_the_sequence() -> None:
    one = subject_of(
        sale_event(
            tracking=msgspec.to_builtins(Tracking(click_id="c1", fbc="fb.1.1700000000000.XyZ"))
        )
    )
    other = subject_of(
        sale_event("pending", customer=msgspec.to_builtins(Customer(ph=["p"], em=["z"])))
    )
    assert one.merged(other) == other.merged(one) == other.merged(one).merged(one)
    assert one.merged(other).emails == sorted([EMAIL, "z"])
    assert one.fbclids == ["XyZ"]


@pytest.mark.parametrize(
    ("fbc", "fbclid"),
    [
        ("fb.1.1700000000000.Ab_c-1", "Ab_c-1"),
        ("fb.1.1700000000000", None),
        ("", None),
        (None, None),
        ("x.1.2.3", None),
    ],
)
def test_the_click_id_inside_metas_cookie(fbc: str | None, fbclid: str | None) -> None:
    assert fbclid_of(fbc) == fbclid


@pytest.mark.parametrize(
    ("told", "heard_after_ms", "meant"),
    [
        (1_790_000_040_123, 5_000, 1_790_000_040_123),
        (1_790_000_041_000, 5_000, 1_790_000_041_999),
        (1_790_000_040_000, 3_600_000, 1_790_000_099_999),
        (1_790_000_040_000, 2_500, 1_790_000_042_500),
        (1_790_000_040_000, -2_500, 1_790_000_040_000),
    ],
    ids=[
        "to-the-millisecond",
        "to-the-second",
        "to-the-minute",
        "but-not-after-it-was-heard",
        "by-a-fast-clock",
    ],
)
def test_a_sale_is_as_late_as_its_gateways_time_can_mean(
    told: int, heard_after_ms: int, meant: int
) -> None:
    event = msgspec.structs.replace(
        sale_event(), occurred_at=told, received_at=told + heard_after_ms
    )
    assert subject_of(event).bought_at == meant
