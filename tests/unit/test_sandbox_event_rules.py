"""What Meta refuses in one event, each with its subcode, and what it takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_sandbox import channels, rules
from sinal_sandbox.refusals import EventRefusal

from tests.support.fix_sandbox import EventFactory

NOW = 1_795_300_000
DAY = 86_400
DOCUMENTED = channels.MESSAGING_NAMES["documented"]


def check(event: Any, names: frozenset[str] = DOCUMENTED) -> rules.AcceptedEvent:
    return rules.check(event, now_s=NOW, messaging_names=names)


def refusal_of(event: Any, names: frozenset[str] = DOCUMENTED) -> EventRefusal:
    with pytest.raises(EventRefusal) as refused:
        check(event, names)
    return refused.value


def messaging(
    channel: str | None, user_data: dict[str, Any], name: str = "Purchase"
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event_name": name,
        "event_time": NOW,
        "action_source": "business_messaging",
        "user_data": user_data,
        "custom_data": {"value": 10, "currency": "BRL"},
    }
    return event if channel is None else {**event, "messaging_channel": channel}


WHATSAPP = {
    "ctwa_clid": "Aff-n8ZTODiE79d22KtAwQKj9e_mIEOOj27vDVwFjN80dp4",
    "whatsapp_business_account_id": "1029",
}


@pytest.mark.parametrize(
    ("changes", "subcode", "field"),
    [
        ({"event_time": NOW - 7 * DAY - 1}, 2804003, "event_time"),
        (
            {"action_source": "physical_store", "event_time": NOW - 62 * DAY - 1},
            2804003,
            "event_time",
        ),
        ({"event_time": NOW + 61}, 2804004, "event_time"),
        ({"event_time": NOW * 1_000}, 2804004, "event_time"),
        ({"user_data.fbc": "IwAR2F4"}, 2804001, "user_data.fbc"),
        ({"user_data.fbc": "fb.1.1795000000000"}, 2804001, "user_data.fbc"),
        ({"user_data.fbc": "fb.1.1795000000.IwAR2F4"}, 2804001, "user_data.fbc"),
        ({"user_data.fbc": "fb.1.1795000000000.Iw AR"}, 2804001, "user_data.fbc"),
        ({"user_data.fbc": "fb.1.1795000000000.a.b.c"}, 2804001, "user_data.fbc"),
        ({"custom_data.value": ...}, 2804009, "custom_data.value"),
        ({"custom_data": ...}, 2804009, "custom_data.value"),
        ({"custom_data.currency": ...}, 2804010, "custom_data.currency"),
        ({"event_name": "Lead", "custom_data.currency": ...}, 2804023, "custom_data.currency"),
        (
            {"custom_data.contents": [{"id": "1"}, {"quantity": 2}]},
            2804008,
            "custom_data.contents[1].id",
        ),
        ({"user_data.lead_id": 123}, 2804036, "user_data.lead_id"),
        ({"event_name": ...}, 2804019, "event_name"),
        ({"event_name": " "}, 2804019, "event_name"),
        ({"event_time": ...}, 2804019, "event_time"),
        ({"event_time": str(NOW)}, 2804019, "event_time"),
        ({"event_time": float(NOW)}, 2804019, "event_time"),
        ({"event_time": True}, 2804019, "event_time"),
        ({"action_source": ...}, 2804019, "action_source"),
        ({"action_source": "web"}, 2804019, "action_source"),
        ({"event_source_url": ...}, 2804019, "event_source_url"),
        ({"event_source_url": "loja.example"}, 2804019, "event_source_url"),
        ({"user_data.client_user_agent": ...}, 2804019, "user_data.client_user_agent"),
        ({"user_data": ...}, 2804019, "user_data"),
        ({"user_data.fbp": "1098115397"}, 2804019, "user_data.fbp"),
        ({"user_data.client_ip_address": " 1.2.3.4"}, 2804019, "user_data.client_ip_address"),
        ({"custom_data.value": "dez"}, 2804019, "custom_data.value"),
        ({"custom_data.currency": "R$"}, 2804019, "custom_data.currency"),
        ({"custom_data.content_type": "course"}, 2804019, "custom_data.content_type"),
        ({"custom_data.order_id": ["1"]}, 2804019, "custom_data.order_id"),
        ({"opt_out": "no"}, 2804019, "opt_out"),
        ({"customer_segmentation": "friends"}, 2804019, "customer_segmentation"),
        ({"data_processing_options": ["GDPR"]}, 2804019, "data_processing_options"),
        ({"data_processing_options": ["LDU"]}, 2804019, "data_processing_options_country"),
        (
            {"data_processing_options": ["LDU"], "data_processing_options_country": 1},
            2804019,
            "data_processing_options_state",
        ),
        ({"event_id": 17}, 2804019, "event_id"),
        ({"action_source": "app"}, 2804019, "app_data"),
        (
            {
                "action_source": "app",
                "app_data": {
                    "advertiser_tracking_enabled": 1,
                    "application_tracking_enabled": 1,
                    "extinfo": ["a2", "com.x"],
                },
            },
            2804043,
            "app_data.extinfo",
        ),
    ],
)
def test_a_bad_event_is_refused_with_its_subcode_and_field(
    meta_event: EventFactory, changes: dict[str, Any], subcode: int, field: str
) -> None:
    refusal = refusal_of(meta_event({"event_time": NOW, **changes}))
    assert (refusal.subcode, refusal.field) == (subcode, field)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"event_time": NOW - 7 * DAY},
        {"event_time": NOW + 60},
        {"action_source": "physical_store", "event_time": NOW - 62 * DAY},
        {"user_data.fbc": "fb.1.1795000000000.IwAR_aem_x-y.AQYBAQIA"},
        {"custom_data.value": "142.52"},
        {"custom_data.currency": "brl"},
        {"event_name": "AulaAssistida", "custom_data.currency": ...},
        {"event_name": "PageView", "custom_data": ...},
        {"action_source": "email", "event_source_url": ...},
        {"data_processing_options": []},
        {"data_processing_options": ["LDU"], "data_processing_options_country": 0},
        {
            "data_processing_options": ["LDU"],
            "data_processing_options_country": 1,
            "data_processing_options_state": 1013,
        },
        {"customer_segmentation": "existing_customer_to_business_line"},
        {"user_data.lead_id": 123456789012345},
        {
            "action_source": "app",
            "app_data": {
                "advertiser_tracking_enabled": 0,
                "application_tracking_enabled": True,
                "extinfo": ["i2", *[""] * 15],
            },
        },
    ],
)
def test_what_meta_documents_is_taken(meta_event: EventFactory, changes: dict[str, Any]) -> None:
    assert check(meta_event({"event_time": NOW, **changes})).event_id == "order-1"


def test_the_verdict_keeps_what_queries_need(meta_event: EventFactory) -> None:
    verdict = check(meta_event({"event_time": NOW, "custom_data.order_id": 4711}))
    assert (verdict.event_name, verdict.order_id, verdict.event_time, verdict.is_web) == (
        "Purchase",
        "4711",
        NOW,
        True,
    )


@pytest.mark.parametrize(
    ("event", "subcode", "field"),
    [
        (messaging(None, WHATSAPP), 2804063, "messaging_channel"),
        (
            messaging("whatsapp", {**WHATSAPP, "fbc": "fb.1.1795000000000.x"}),
            2804064,
            "user_data.fbc",
        ),
        (
            messaging("whatsapp", {**WHATSAPP, "client_user_agent": "x"}),
            2804019,
            "user_data.client_user_agent",
        ),
        (messaging("whatsapp", WHATSAPP, name="Lead"), 2804066, "event_name"),
        (messaging("whatsapp", {"page_id": "1"}), 2804087, "user_data.ctwa_clid"),
        (
            messaging("whatsapp", {"ctwa_clid": "A"}),
            2804116,
            "user_data.whatsapp_business_account_id",
        ),
        (messaging("messenger", {"page_scoped_user_id": "1"}), 2804069, "user_data.page_id"),
        (messaging("messenger", {"page_id": "1"}), 2804019, "user_data.page_scoped_user_id"),
        (messaging("instagram", {"ig_sid": "1"}), 2804079, "user_data.ig_account_id"),
        (messaging("instagram", {"ig_account_id": "1"}), 2804019, "user_data.ig_sid"),
        (messaging("telegram", WHATSAPP), 2804019, "messaging_channel"),
        (
            {**messaging("whatsapp", WHATSAPP), "event_source_url": "https://x.example"},
            2804019,
            "event_source_url",
        ),
    ],
)
def test_messaging_events_need_their_channel_and_nothing_of_the_web(
    event: dict[str, Any], subcode: int, field: str
) -> None:
    refusal = refusal_of(event)
    assert (refusal.subcode, refusal.field) == (subcode, field)


@pytest.mark.parametrize(
    "event",
    [
        messaging("whatsapp", WHATSAPP),
        messaging("whatsapp", {"ctwa_clid": "A", "page_id": "1"}, name="LeadSubmitted"),
        messaging("messenger", {"page_id": "1", "page_scoped_user_id": "2"}),
        messaging("instagram", {"instagram_business_account_id": "1", "ig_sid": "2"}),
        messaging("instagram", {"ig_account_id": "1", "ig_sid": "2"}),
    ],
)
def test_complete_messaging_events_are_taken(event: dict[str, Any]) -> None:
    assert not check(event).is_web


def test_the_live_list_of_messaging_names_is_shorter() -> None:
    event = messaging("whatsapp", WHATSAPP, name="OrderShipped")
    check(event)
    assert refusal_of(event, channels.MESSAGING_NAMES["live"]).subcode == 2804066


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    "event_name",
    "event_time",
    "action_source",
    "event_source_url",
    "event_id",
    "user_data",
    "custom_data",
    "opt_out",
    "app_data",
    "data_processing_options",
    "data_processing_options_country",
    "customer_segmentation",
    "messaging_channel",
    "user_data.em",
    "user_data.external_id",
    "user_data.fbc",
    "user_data.fbp",
    "user_data.client_ip_address",
    "user_data.lead_id",
    "custom_data.value",
    "custom_data.currency",
    "custom_data.contents",
    "custom_data.order_id",
    "custom_data.content_type",
    "custom_data.customer_segmentation",
    "custom_data.delivery_category",
]
_GOOD = {
    "event_name": "Purchase",
    "event_time": NOW,
    "action_source": "other",
    "user_data": {"external_id": "x"},
    "custom_data": {"value": 1, "currency": "BRL"},
}


@given(
    path=st.sampled_from(FIELDS), value=JSON, source=st.sampled_from(sorted(rules.ACTION_SOURCES))
)
def test_no_json_breaks_the_rules(path: str, value: Any, source: str) -> None:
    """Whatever stands in a field, the answer is a verdict or a refusal."""
    event = {**_GOOD, "action_source": source}
    parent, _, name = path.rpartition(".")
    if parent:
        event[parent] = {**_GOOD[parent], name: value}  # type: ignore[dict-item]
    else:
        event[name] = value
    try:
        check(event)
    except EventRefusal as refusal:
        assert refusal.detail
