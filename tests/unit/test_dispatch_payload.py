"""The event that Meta gets, per kind of fact, written by hand from Meta's field tables."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds.plan import DataProcessing, FunnelPlan, TenantPlan, WithheldField
from sinal_hub.meta import limits, payload
from sinal_hub.meta.payload import ClickData, Unidentifiable
from sinal_hub.meta.validation import check
from sinal_hub.model.events import Event, Item, UserData
from sinal_hub.model.sale import Client, Customer, Product, Sale, Tracking

from tests.support.sales import fields_of

AT_MS = 1_795_348_800_123  # 2026-11-22T12:00:00.123Z
AT_S = 1_795_348_800
CLICKED_MS = AT_MS - 3_600_000
FBC = f"fb.1.{CLICKED_MS}.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk"
FBP = "fb.1.1795345200000.1098115397"
UA = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36"
EM, PH, EM2 = "a" * 64, "b" * 64, "c" * 64
BR = hashlib.sha256(b"br").hexdigest()

TENANT = TenantPlan(slug="loja", namespace="default", name="loja", uid="u1")
FUNNEL = FunnelPlan(
    name="curso",
    type="course",
    public_key="fk_1",
    server_key_sha256="",
    landing_hosts=("*.x.example", "loja.example"),
)
CLICK = ClickData(
    click_id="c1",
    fbc=FBC,
    fbp=FBP,
    ip="177.43.12.5",
    user_agent=UA,
    url="https://loja.example/p?utm_source=fb",
    referrer="https://www.instagram.com/",
    external_id="visitor-1",
    user=UserData(em=[EM2], ph=[PH]),
    observed_at=CLICKED_MS,
)
SALE = Sale(
    gateway="hotmart",
    event="PURCHASE_APPROVED",
    event_key="hotmart:HP1:approved",
    status="approved",
    order_id="HP1",
    value="297.00",
    currency="BRL",
    method="pix",
    occurred_at="2026-11-22T12:00:00Z",
    products=[
        Product(id="4774438", name="Curso de Bolos", value="200.00"),
        Product(id="77", quantity=2, value="97.00"),
    ],
    customer=Customer(em=[EM], ph=[PH]),
)


def sale_event(**changes: Any) -> Event:
    sale = msgspec.structs.replace(SALE, **changes.pop("sale", {}))
    fields = fields_of(sale) | changes
    return Event(
        id="ev_1",
        key=sale.event_key,
        kind="sale",
        tenant="loja",
        funnel="curso",
        received_at=AT_MS + 900,
        occurred_at=AT_MS,
        source="webhook",
        **fields,
    )


def visit(**fields: Any) -> Event:
    base: dict[str, Any] = {
        "id": "ev_2",
        "key": "k",
        "kind": "pageview",
        "tenant": "loja",
        "funnel": "curso",
        "received_at": AT_MS,
        "occurred_at": AT_MS,
        "source": "browser",
        "url": "https://loja.example/p",
        "ip": "177.43.12.5",
        "user_agent": UA,
        "fbp": FBP,
    }
    return Event(**(base | fields))


def build(
    event: Event,
    name: str,
    click: ClickData | None = None,
    *,
    funnel: FunnelPlan = FUNNEL,
    **money: str | None,
) -> dict[str, Any]:
    return payload.build(
        tenant=TENANT,
        funnel=funnel,
        event=event,
        event_name=name,
        event_id="e-1",
        click=click,
        value=money.get("value"),
        currency=money.get("currency"),
    )


def test_a_sale_with_its_click_is_a_website_purchase() -> None:
    assert build(sale_event(), "Purchase", CLICK, value="297.00", currency="brl") == {
        "event_name": "Purchase",
        "event_time": AT_S,
        "event_id": "e-1",
        "action_source": "website",
        "event_source_url": "https://loja.example/p?utm_source=fb",
        "referrer_url": "https://www.instagram.com/",
        "user_data": {
            "em": [EM, EM2],
            "ph": [PH],
            "country": [BR],
            "external_id": [hashlib.sha256(b"visitor-1").hexdigest()],
            "client_ip_address": "177.43.12.5",
            "client_user_agent": UA,
            "fbc": FBC,
            "fbp": FBP,
        },
        "custom_data": {
            "value": 297.0,
            "currency": "BRL",
            "order_id": "HP1",
            "contents": [
                {"id": "4774438", "quantity": 1, "item_price": 200.0},
                {"id": "77", "quantity": 2, "item_price": 48.5},
            ],
            "content_ids": ["4774438", "77"],
            "content_type": "product",
            "content_name": "Curso de Bolos",
            "payment_method": "pix",
        },
    }


def test_a_sale_without_click_is_system_generated_and_never_wears_the_gateways_browser() -> None:
    sent = build(sale_event(), "Purchase", value="297.00", currency="BRL")
    assert sent["action_source"] == "system_generated"
    assert sent["user_data"] == {"em": [EM], "ph": [PH], "country": [BR]}
    assert "event_source_url" not in sent


def test_a_sale_whose_gateway_tells_the_buyers_browser_falls_back_to_the_first_concrete_landing_host() -> (
    None
):
    sent = build(
        sale_event(sale={"client": Client(ip="177.1.1.1", user_agent=UA)}),
        "Purchase",
        value="1",
        currency="BRL",
    )
    assert (sent["action_source"], sent["event_source_url"]) == ("website", "https://loja.example/")
    assert sent["user_data"]["client_ip_address"] == "177.1.1.1"


def test_a_sale_at_a_till_is_of_the_shop_and_wears_nobodys_browser() -> None:
    event = sale_event(
        sale={"in_person": True, "client": Client(ip="177.43.12.5", user_agent="POS/9.1")}
    )
    event = msgspec.structs.replace(
        event, url="https://loja.example/", referrer="https://loja.example/a"
    )
    found = build(event, "Purchase", CLICK, value="297.00", currency="BRL")
    assert found["action_source"] == "physical_store"
    assert found.keys().isdisjoint({"event_source_url", "referrer_url"})
    assert found["user_data"].keys().isdisjoint({"client_user_agent", "client_ip_address"})
    assert found["user_data"]["fbc"] == FBC


def withholding(*fields: WithheldField) -> FunnelPlan:
    return msgspec.structs.replace(FUNNEL, withheld=fields)


def test_a_sensitive_funnel_keeps_fields_from_meta() -> None:
    whole = build(sale_event(), "Purchase", CLICK, value="297.00", currency="BRL")
    funnel = withholding("referrer_url", "ph", "content_name", "contents")
    sent = build(sale_event(), "Purchase", CLICK, funnel=funnel, value="297.00", currency="BRL")
    for place, field in [
        ("", "referrer_url"),
        ("user_data", "ph"),
        ("custom_data", "content_name"),
    ]:
        del (whole[place] if place else whole)[field]
    del whole["custom_data"]["contents"]
    assert sent == whole


@pytest.mark.parametrize("field", ["event_source_url", "client_user_agent"])
def test_a_website_event_without_page_or_browser_says_that_it_is_none(field: WithheldField) -> None:
    sent = build(
        sale_event(), "Purchase", CLICK, funnel=withholding(field), value="297.00", currency="BRL"
    )
    assert sent["action_source"] == "system_generated"
    assert field not in sent and field not in sent["user_data"]
    assert check(sent, AT_S)["action_source"] == "system_generated"


def test_all_custom_data_but_the_money_can_be_kept_from_meta() -> None:
    funnel = withholding("custom_data.*")
    sent = build(sale_event(), "Purchase", CLICK, funnel=funnel, value="297.00", currency="BRL")
    assert sent["custom_data"] == {"value": 297.0, "currency": "BRL"}
    assert "custom_data" not in build(visit(items=[Item(id="1")]), "ViewContent", funnel=funnel)


def test_who_withholds_all_that_tells_of_a_person_is_unidentifiable() -> None:
    funnel = withholding("em", "ph", "client_ip_address", "client_user_agent")
    with pytest.raises(Unidentifiable):
        build(sale_event(), "Purchase", funnel=funnel, value="297.00", currency="BRL")


@pytest.mark.parametrize(
    ("processing", "told"),
    [
        (None, {}),
        (DataProcessing(), {"data_processing_options": []}),
        (
            DataProcessing(options=("LDU",), country=1, state=1000),
            {
                "data_processing_options": ["LDU"],
                "data_processing_options_country": 1,
                "data_processing_options_state": 1000,
            },
        ),
    ],
)
def test_data_processing_options_as_meta_documents_them(
    processing: Any, told: dict[str, Any]
) -> None:
    assert limits.told(processing) == told


def test_a_pageview_has_no_custom_data() -> None:
    assert build(visit(referrer="https://google.com/"), "PageView") == {
        "event_name": "PageView",
        "event_time": AT_S,
        "event_id": "e-1",
        "action_source": "website",
        "event_source_url": "https://loja.example/p",
        "referrer_url": "https://google.com/",
        "user_data": {
            "country": [BR],
            "client_ip_address": "177.43.12.5",
            "client_user_agent": UA,
            "fbp": FBP,
        },
    }


@pytest.mark.parametrize("name", ["ViewContent", "Lead", "AddPaymentInfo", "QuizFinished"])
def test_items_and_value_go_with_every_event_name(name: str) -> None:
    sent = build(
        visit(items=[Item(id="p1", quantity=3, price="10.50")]), name, value="31.5", currency="BRL"
    )
    assert sent["custom_data"] == {
        "value": 31.5,
        "currency": "BRL",
        "contents": [{"id": "p1", "quantity": 3, "item_price": 10.5}],
        "content_ids": ["p1"],
        "content_type": "product",
    }


def test_the_number_of_items_is_told_for_a_checkout_only() -> None:
    event = visit(kind="initiate_checkout", items=[Item(id="p1", quantity=3), Item(id="p2")])
    assert build(event, "InitiateCheckout")["custom_data"]["num_items"] == 4
    assert "num_items" not in build(event, "ViewContent")["custom_data"]


def test_a_renewal_says_so() -> None:
    assert (
        build(sale_event(sale={"renewal": True}), "Purchase", value="1", currency="BRL")[
            "custom_data"
        ]["renewal"]
        is True
    )


def test_a_value_without_currency_is_left_out() -> None:
    assert "custom_data" not in build(visit(), "Lead", value="10.00")


@pytest.mark.parametrize(
    ("fbc", "kept"),
    [
        (FBC, True),
        (FBC + ".AQYBAQIA", True),  # the Parameter Builder's fifth segment
        ("fb.1.123.abc", False),
        (f"fb.1.{AT_MS - 91 * 86_400_000}.IwAR1", False),
        (f"fb.1.{AT_MS + 3_600_000}.IwAR1", False),
        ("IwAR1", False),
    ],
)
def test_an_unusable_fbc_costs_the_field_and_never_the_event(fbc: str, kept: bool) -> None:
    sent = build(visit(fbc=fbc), "PageView")
    assert sent["user_data"].get("fbc") == (fbc if kept else None)


def test_a_stale_fbc_of_the_sale_gives_way_to_the_clicks() -> None:
    event = sale_event(sale={"tracking": Tracking(fbc=f"fb.1.{AT_MS - 91 * 86_400_000}.IwAR1")})
    assert build(event, "Purchase", CLICK, value="1", currency="BRL")["user_data"]["fbc"] == FBC


def test_an_fbclid_without_cookie_becomes_an_fbc_of_when_it_was_first_seen() -> None:
    event = sale_event(sale={"tracking": Tracking(fbclid="IwAR0_x-Y")})
    assert (
        build(event, "Purchase", value="1", currency="BRL")["user_data"]["fbc"]
        == f"fb.1.{AT_MS}.IwAR0_x-Y"
    )


@pytest.mark.parametrize(
    "ip", ["10.0.0.8", "127.0.0.1", "::1", "fe80::1", "999.1.1.1", "224.0.0.1", "", None]
)
def test_an_address_that_is_not_of_the_internet_is_dropped(ip: str | None) -> None:
    assert "client_ip_address" not in build(visit(ip=ip), "PageView")["user_data"]


def test_an_ipv4_address_in_ipv6_clothes_is_unwrapped() -> None:
    assert (
        build(visit(ip="::ffff:177.43.12.5"), "PageView")["user_data"]["client_ip_address"]
        == "177.43.12.5"
    )


def test_personal_data_in_urls_is_cut_out() -> None:
    url = "https://user:pw@pay.example/x?off=1&email=ana%40x.com&name=Ana&utm_campaign=a_b&src=ana@x.com&phone_number=11#f"
    sent = build(visit(url=url), "InitiateCheckout")
    assert sent["event_source_url"] == "https://pay.example/x?off=1&utm_campaign=a_b"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "not a url", "https://[::1", "ftp://x.example/"]
)
def test_what_is_no_web_address_gives_way_to_the_landing_host(url: str) -> None:
    assert build(visit(url=url), "PageView")["event_source_url"] == "https://loja.example/"


def test_clear_text_never_passes_as_a_digest() -> None:
    event = visit(user=UserData(em=["ana@x.com", EM], fn=["Ana"]))
    sent = build(event, "Lead")
    assert sent["user_data"]["em"] == [EM]
    assert "ana@x.com" not in json.dumps(sent)
    assert "fn" not in sent["user_data"]


def test_who_cannot_be_told_is_refused_before_meta_does() -> None:
    with pytest.raises(Unidentifiable):
        build(visit(fbp=None, ip=None), "PageView")
    with pytest.raises(Unidentifiable):
        build(visit(fbp=None, ip=None, user=UserData(ct=[EM], st=[EM], zp=[EM])), "PageView")
    with pytest.raises(Unidentifiable):
        build(visit(fbp=None, ip=None, user_agent=None, user=UserData(fn=[EM])), "PageView")


def test_name_and_zip_together_are_enough() -> None:
    event = visit(fbp=None, ip=None, user=UserData(fn=[EM], ln=[PH], zp=[EM2]))
    assert build(event, "Lead")["user_data"]["zp"] == [EM2]


@pytest.mark.parametrize("value", ["NaN", "-nan12", "sNaN", "Infinity", "1e999", "x", ""])
def test_what_is_no_amount_of_money_is_left_out(value: str) -> None:
    assert "value" not in build(visit(), "Lead", value=value, currency="BRL")["custom_data"]


digests = st.lists(st.text("0123456789abcdef", min_size=60, max_size=66), max_size=3)
texts = st.none() | st.text(max_size=40)


@given(
    em=digests,
    ph=digests,
    fbc=texts,
    fbp=texts,
    ip=texts,
    ua=texts,
    url=texts,
    external_id=texts,
    value=texts,
)
def test_no_input_breaks_it_and_what_comes_out_is_what_meta_takes(**told: Any) -> None:
    user, value = UserData(em=told.pop("em"), ph=told.pop("ph")), told.pop("value")
    event = visit(user=user, user_agent=told.pop("ua"), **told)
    try:
        sent = build(event, "Lead", value=value, currency="BRL")
    except Unidentifiable:
        return
    assert all(len(digest) == 64 for digest in sent["user_data"].get("em", []))
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    assert build(event, "Lead", value=value, currency="BRL") == sent
