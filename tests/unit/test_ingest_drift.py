"""Drift of gateways: counted by kind, named once, never by value, and silent about what is
known.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from sinal_hub.gateways import carries_contact, registry
from sinal_hub.ingest.drift.fields import field_names
from sinal_hub.ingest.drift.known import KNOWN
from sinal_hub.ingest.drift.watch import SHARE, Drift
from sinal_hub.model.readback import ReadsBack
from sinal_hub.model.sale import Customer

from tests.support.fix_ingest import SECRET, TOKEN, EdgeWorld, SignedGateway, a_sale

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "gateways"
GATEWAY = SignedGateway()


def counted(gateway: str = "signed") -> Counter[str]:
    found: Counter[str] = Counter()
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == "sinal_gateway_drift_total" and sample.labels["gateway"] == gateway:
                found[sample.labels["what"]] = int(sample.value)
    return found


def test_new_field_is_counted_and_named_once_without_its_value() -> None:
    drift, before = Drift({"signed": frozenset({"id", "buyer", "buyer.name"})}), counted()
    raw = json.dumps(
        {"id": 1, "pix_qr": "secret-value", "buyer": {"name": "Maria", "vip": "secret-value"}}
    ).encode()
    with capture_logs() as logs:
        for _ in range(3):
            drift.look(GATEWAY, raw, [], tenant="loja")
    assert counted() - before == Counter({"unknown_field": 2})
    assert [line["name"] for line in logs] == ["buyer.vip", "pix_qr"]
    assert "secret" not in repr(logs) and "Maria" not in repr(logs)


def test_forms_have_fields_too() -> None:
    drift, before = Drift({"signed": frozenset({"prod"})}), counted()
    drift.look(GATEWAY, urlencode({"prod": "1", "novo": "x"}).encode(), [], tenant="loja")
    assert counted() - before == Counter({"unknown_field": 1})


def test_gateway_without_a_list_is_learned_from_its_first_delivery() -> None:
    drift, before = Drift({}), counted()
    drift.look(GATEWAY, b'{"a": 1}', [], tenant="loja")
    assert counted() == before
    drift.look(GATEWAY, b'{"a": 1, "b": 2}', [], tenant="loja")
    assert counted() - before == Counter({"unknown_field": 1})


def test_names_that_a_shop_chooses_are_data() -> None:
    assert field_names(b'{"metadata": {"maria@loja.example": 1}, "a": {"b": {"c": 1}}}') == {
        "metadata",
        "a",
        "a.b",
    }


def test_names_that_are_no_text_are_no_names() -> None:
    # an adapter that reads Latin-1 may still understand it
    assert field_names(b'{"a": {"\xe7": 1}}') == set()


def test_a_byte_order_mark_is_no_name() -> None:
    assert field_names(b'\xef\xbb\xbf{"a": {"b": 1}}') == {"a", "a.b"}


def test_name_that_could_be_data_is_not_logged() -> None:
    with capture_logs() as logs:
        Drift({"signed": frozenset()}).look(
            GATEWAY, b'{"maria@loja.example": 1}', [], tenant="loja"
        )
    assert [line["name"] for line in logs] == [None]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"value": None}, ["missing_value"]),
        ({"currency": None}, ["missing_currency"]),
        ({"order_id": None}, ["missing_order_id"]),
        ({"customer": Customer()}, ["missing_contact"]),
        ({"customer": Customer(ph=["b" * 64])}, []),
        ({"value": None, "currency": None}, ["missing_value", "missing_currency"]),
        ({"value": None, "status": "pending"}, []),
        ({"value": None, "test": True}, []),
        ({"status": "ignored", "event": "PIX_NOVO"}, ["unknown_status"]),
        ({}, []),
    ],
)
def test_approved_sale_that_lacks_what_a_purchase_needs(
    changes: dict[str, object], what: list[str]
) -> None:
    before = counted()
    Drift({}).look(GATEWAY, b"[]", [a_sale(**changes)], tenant="loja")
    assert counted() - before == Counter(what)


def test_gateway_that_never_tells_a_contact_does_not_miss_it() -> None:
    raw = (FIXTURES / "pushinpay" / "paid.shape.json").read_bytes()
    gateway, before = registry()["pushinpay"], counted("pushinpay")
    sales = gateway.parse(raw)
    assert [(sale.status, sale.customer.em, sale.customer.ph) for sale in sales] == [
        ("approved", [], [])
    ]
    Drift().look(gateway, raw, sales, tenant="loja")
    assert counted("pushinpay") == before


@pytest.mark.parametrize("name", sorted(registry()))
def test_only_gateways_whose_captures_hold_no_contact_say_so(name: str) -> None:
    gateway = registry()[name]
    files = [path for path in (FIXTURES / name).rglob("*") if path.is_file()]
    sales = [sale for path in files for sale in gateway.parse(path.read_bytes())]
    told = any(sale.customer.em or sale.customer.ph for sale in sales)
    assert told or not carries_contact(gateway) or isinstance(gateway, ReadsBack)


async def test_deliveries_at_the_edge_are_looked_at(edge_world: EdgeWorld) -> None:
    before, client = counted(), edge_world.client()
    url, signed = f"/api/v1/webhooks/signed/{TOKEN}", {"x-signature": SECRET}
    sale = json.loads(json.dumps([{"gateway": "signed", "event": "NOVO", "event_key": "k", "status": "ignored",
                                   "order_id": None, "occurred_at": "2026-09-21T13:00:00Z"}]))  # fmt: skip
    assert (await client.post(url, sale, headers=signed)).status == 202
    assert (await client.post(url, b"<html>", headers=signed)).status == 202
    assert (await client.post(url, b"<html>", headers={"x-signature": "forged"})).status == 401
    assert counted() - before == Counter({"unknown_status": 1, "unreadable": 1})


@pytest.mark.parametrize("gateway", sorted(KNOWN))
def test_captured_deliveries_raise_no_alarm(gateway: str) -> None:
    made_up = {"data.foo"}  # in one capture, by its sender's hand
    new = {
        f"{path.name}: {name}"
        for path in (FIXTURES / gateway).rglob("*")
        if path.is_file() and ".form" not in path.name
        for name in field_names(path.read_bytes()) - KNOWN[gateway] - made_up
    }
    assert not new, "add these names to sinal_hub/ingest/drift/known.py"
    assert gateway in registry()


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_looked_at(raw: bytes) -> None:
    Drift({}).look(GATEWAY, raw, [], tenant="loja")
    Drift({}).look(GATEWAY, b'{"a":' + raw + b"}", [], tenant="loja")
    Drift({}).look(GATEWAY, b'{"a":{"' + raw + b'":1}}', [], tenant="loja")


def test_names_that_one_tenant_makes_up_hide_no_drift_from_another() -> None:
    drift, before = Drift({"signed": frozenset()}), counted()
    made_up = json.dumps({f"a{number}": 1 for number in range(10 * SHARE)}).encode()
    with capture_logs() as logs:
        drift.look(GATEWAY, made_up, [], tenant="mallory")
        drift.look(GATEWAY, made_up, [], tenant="mallory")
        for word in range(10 * SHARE):
            drift.look(
                GATEWAY, b"[]", [a_sale(status="ignored", event=f"W{word}")], tenant="mallory"
            )
        assert counted() - before == Counter({"unknown_field": SHARE, "unknown_status": 10 * SHARE})
        assert len(logs) <= 2 * SHARE + 1
        drift.look(GATEWAY, b'{"pix_qr": 1}', [], tenant="loja")
    assert counted()["unknown_field"] - before["unknown_field"] == SHARE + 1
    assert logs[-1]["name"] == "pix_qr"


def test_a_first_delivery_with_made_up_names_hides_no_drift_from_another() -> None:
    drift, before = Drift({}), counted()
    drift.look(
        GATEWAY,
        json.dumps({f"a{number}": 1 for number in range(10 * SHARE)}).encode(),
        [],
        tenant="mallory",
    )
    drift.look(GATEWAY, b'{"pix_qr": 1}', [], tenant="loja")
    assert counted() - before == Counter({"unknown_field": 1})
