"""Sales written by this release are read by the one before and after, and the other way round."""

from __future__ import annotations

import json
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.intake.events_from import sale_event
from sinal_hub.intake.publisher import encode_safe
from sinal_hub.model.event_versions import NEWEST, OLDEST, encode_event
from sinal_hub.model.events import Event, decode_event
from sinal_hub.model.sale import Client, Customer, Product, Sale, Slots, Tracking

RECEIVED_MS = 1_795_000_000_000
WORDS = st.text(string.ascii_letters + string.digits + "-_|é", min_size=1, max_size=24)
MAYBE = st.none() | WORDS
HASHES = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=2)
AMOUNTS = st.none() | st.decimals("0", "99999", places=2).map(str)
UNSET = st.just(msgspec.UNSET)
SALES = st.builds(
    Sale,
    gateway=WORDS,
    event=WORDS,
    event_key=WORDS,
    status=st.sampled_from(["approved", "refunded", "pending", "subscription_renewed"]),
    order_id=MAYBE,
    parent_order_id=MAYBE,
    value=AMOUNTS,
    currency=st.none() | st.sampled_from(["BRL", "USD"]),
    method=MAYBE,
    installments=st.none() | st.integers(1, 12),
    occurred_at=st.sampled_from(["2026-11-18T20:26:39Z", "2020-01-01T00:00:00.25Z"]),
    test=st.booleans(),
    renewal=st.booleans(),
    products=st.lists(st.builds(Product, id=MAYBE, name=MAYBE, value=AMOUNTS), max_size=2),
    customer=st.builds(Customer, em=HASHES, ph=HASHES, country=HASHES),
    tracking=st.builds(
        Tracking,
        click_id=MAYBE,
        session_id=MAYBE,
        fbclid=MAYBE,
        fbc=st.sampled_from([None, "fb.1.1790000000000.IwAR1", "damaged"]),
        fbp=st.sampled_from([None, "fb.1.1790000000000.123456"]),
        utm_source=MAYBE,
        utm_term=MAYBE,
        src=MAYBE,
        sck=MAYBE,
    ),
    client=st.builds(Client, ip=st.sampled_from([None, "177.1.1.1"]), user_agent=MAYBE),
    refunded_value=UNSET | st.just("1.00"),
    names=UNSET | st.lists(WORDS, max_size=2),
    subscription_id=UNSET | WORDS,
    trial=UNSET | st.booleans(),
    in_person=UNSET | st.booleans(),
)


def told(sale: Sale) -> Event:
    """The event of a sale, as the edge makes it."""
    return sale_event(
        sale, tenant="loja", funnel="curso", integration="vendas", received_ms=RECEIVED_MS
    )


@given(SALES)
def test_both_versions_say_the_same(sale: Sale) -> None:
    event = told(sale)
    newest, oldest = (decode_event(encode_event(event, at)) for at in (NEWEST, OLDEST))
    assert newest == event
    assert msgspec.structs.replace(oldest, v=NEWEST) == event


@given(SALES)
def test_version_1_tells_the_release_before_all_that_it_asks_for(sale: Sale) -> None:
    """That release decodes `sale` as what adapters make, and asks it before the event."""
    event = told(sale)
    document = json.loads(encode_event(event, OLDEST))
    assert document.get("v", 1) == 1
    repeated = msgspec.convert(document["sale"], Sale)
    only_twice = {"customer", "tracking", "client", "event_key", "occurred_at"}
    kept = [name for name in Sale.__struct_fields__ if name not in only_twice]
    assert {name: getattr(repeated, name) for name in kept} == {
        name: getattr(sale, name) for name in kept
    }
    assert (repeated.customer.em, repeated.customer.ph) == (sale.customer.em, sale.customer.ph)
    assert repeated.tracking.click_id == sale.tracking.click_id
    assert (repeated.tracking.src, repeated.tracking.sck) == (sale.tracking.src, sale.tracking.sck)
    assert repeated.tracking.utm_source == sale.tracking.utm_source
    assert repeated.client.ip == sale.client.ip


def test_what_the_release_before_wrote_is_read() -> None:
    """Word for word as 0.2 puts a sale on the bus."""
    body = rb"""{"id":"ev_1","key":"hotmart:HP1:approved:vendas","kind":"sale","tenant":"loja","funnel":"curso",
        "received_at":1795000000000,"occurred_at":1794999999000,"source":"webhook","natural_key":true,
        "click_id":"c1","fbclid":"IwAR1","user":{"em":["aa"]},"ip":"177.1.1.1","value":"297.00","currency":"BRL",
        "order_id":"HP1","integration":"vendas","sale":{"gateway":"hotmart","event":"PURCHASE_APPROVED",
        "event_key":"hotmart:HP1:approved","status":"approved","order_id":"HP1","parent_order_id":null,
        "value":"297.00","currency":"BRL","method":"pix","installments":null,"occurred_at":"2026-11-18T20:26:39Z",
        "test":false,"renewal":false,"products":[{"id":"7","name":null,"offer_id":null,"quantity":1,"value":null}],
        "customer":{"em":["aa"],"ph":[],"fn":[],"ln":[],"ct":[],"st":[],"zp":[],"country":[]},
        "tracking":{"click_id":"c1","session_id":null,"external_id":null,"fbclid":"IwAR1","fbc":null,"fbp":null,
        "utm_source":null,"utm_medium":null,"utm_campaign":null,"utm_content":null,"utm_term":null,"src":"c1","sck":null},
        "client":{"ip":"177.1.1.1","user_agent":null},"names":["pi_1"]}}"""
    event = decode_event(body)
    assert event.v == 1 and event.sale is not None
    assert (event.sale.gateway, event.sale.status, event.sale.method) == (
        "hotmart",
        "approved",
        "pix",
    )
    assert event.sale.slots == Slots(src="c1") and event.sale.names == ["pi_1"]
    assert json.loads(encode_event(event))["sale"]["customer"]["em"] == ["aa"], (
        "who writes it again keeps its version: the release before may read it next"
    )


@given(SALES, st.sampled_from([OLDEST, NEWEST]))
def test_no_version_has_a_nul(sale: Sale, version: int) -> None:
    event = told(msgspec.structs.replace(sale, event="a\0b"))
    body = encode_safe(event, version)
    assert b"\\u0000" not in body
    assert decode_event(body).sale == msgspec.structs.replace(event.sale, event="ab")  # type: ignore[type-var]


def test_version_2_is_the_shorter_one() -> None:
    sale = Sale(
        gateway="hotmart", event="X", event_key="k", status="approved", order_id="HP1",
        value="297.00", currency="BRL", occurred_at="2026-11-18T20:26:39Z",
        products=[Product(id="7", name="Curso", value="297.00")],
        customer=Customer(em=["a" * 64], ph=["b" * 64]), tracking=Tracking(click_id="c" * 22),
    )  # fmt: skip
    event = told(sale)
    assert len(encode_event(event, NEWEST)) < 0.67 * len(encode_event(event, OLDEST))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_other_events_are_the_same_in_both(version: int) -> None:
    visit = Event(
        id="ev_2", key="k", kind="pageview", tenant="loja", funnel="curso",
        received_at=1, occurred_at=1, source="browser",
    )  # fmt: skip
    assert b'"v"' not in encode_event(visit, version)
