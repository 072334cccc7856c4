"""Mercado Pago: ids signed in any case, test users, renewals, tills, refunds in part, and money
that is not a sale.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sinal_hub.gateways import mercadopago, uses_unknown_word
from sinal_hub.model.sale import Client, Customer, Sale

ANSWERS = Path(__file__).parents[2] / "fixtures" / "readback"
NOW = 1_796_030_000
SECRET = {"webhookSecret": "s3cr3t"}
ORDER = "ORD01JABCDEF0002"


@pytest.fixture
def payment() -> Any:
    return json.loads((ANSWERS / "mercadopago" / "payment.approved.reconstructed.json").read_text())


def read(payment: Any, **fields: Any) -> Sale:
    (found,) = mercadopago.parse_readback(json.dumps(payment | fields).encode())
    return found


class TestSignedId:
    def delivery(
        self, signed: str, told: str = ORDER
    ) -> tuple[bytes, dict[str, str], dict[str, str]]:
        message = f"id:{signed};request-id:r-1;ts:{NOW};"
        digest = hmac.new(
            SECRET["webhookSecret"].encode(), message.encode(), hashlib.sha256
        ).hexdigest()
        headers = {"x-signature": f"ts={NOW},v1={digest}", "x-request-id": "r-1"}
        return b'{"type": "order"}', headers, {"data.id": told}

    @pytest.mark.parametrize("signed", [ORDER, ORDER.lower()])
    @pytest.mark.parametrize("in_body", [True, False])
    def test_an_id_is_signed_in_its_own_case_or_in_lower_case(
        self, signed: str, in_body: bool
    ) -> None:
        raw, headers, query = self.delivery(signed)
        if in_body:
            raw, query = json.dumps({"type": "order", "data": {"id": ORDER}}).encode(), {}
        assert mercadopago.verify(raw, headers, query, SECRET, now=NOW)

    @pytest.mark.parametrize("signed", ["ORD01JABCDEF0003", ORDER.title(), ""])
    def test_another_id_or_spelling_is_not(self, signed: str) -> None:
        assert not mercadopago.verify(*self.delivery(signed), SECRET, now=NOW)

    def test_a_notice_is_one_whichever_case_was_signed(self) -> None:
        calls = [
            mercadopago.readback(
                b'{"type": "payment", "action": "payment.updated"}', headers, {"data.id": "132"}
            )
            for headers in ({"x-signature": f"ts={NOW},v1=a"}, {"x-signature": f"ts={NOW},v1=b"})
        ]
        assert calls[0] == calls[1] is not None


@pytest.mark.parametrize(
    ("email", "live", "test"),
    [("test_user_80507629@testuser.com", True, True), ("Test_User_1@TestUser.com", True, True),
     ("ana@example.com", True, False), ("ana@example.com", False, True), ("ana@mytestuser.com", True, False)],
)  # fmt: skip
def test_payments_of_test_users_are_tests(email: str, live: bool, test: bool, payment: Any) -> None:
    assert read(payment, payer={"email": email}, live_mode=live).test is test


def test_cards_that_ask_for_an_answer_are_tests(payment: Any) -> None:
    assert read(payment, card={"cardholder": {"name": "APRO"}}).test
    assert not read(payment, card={"cardholder": {"name": "ANA P LIMA"}}).test


@pytest.mark.parametrize(
    ("charge", "renewal"),
    [({"subscription_sequence": {"number": 1, "total": 12}, "first_time_use": True}, False),
     ({"subscription_sequence": {"number": 2, "total": None}, "first_time_use": False}, True),
     ({"first_time_use": False}, True), ({}, False)],
)  # fmt: skip
def test_later_charges_of_a_subscription_are_renewals(
    charge: Any, renewal: bool, payment: Any
) -> None:
    assert (
        read(
            payment, point_of_interaction={"type": "SUBSCRIPTIONS", "transaction_data": charge}
        ).renewal
        is renewal
    )


@pytest.mark.parametrize("kind", ["CHECKOUT", "OPENPLATFORM", None])
def test_a_card_that_was_used_before_is_no_renewal(kind: str | None, payment: Any) -> None:
    place = {"type": kind, "transaction_data": {"first_time_use": False}}
    assert not read(payment, point_of_interaction=place).renewal


@pytest.mark.parametrize(
    "told",
    [
        {"point_of_interaction": {"type": "POINT"}},
        {"operation_type": "pos_payment"},
        {"pos_id": 123},
    ],
)
def test_payments_at_a_till_wear_no_browser(told: Any, payment: Any) -> None:
    found = read(payment, **told)
    assert (found.in_person, found.client) == (True, Client())
    assert (
        read(payment, point_of_interaction={"type": "CHECKOUT"}, pos_id=None).in_person
        is msgspec.UNSET
    )


@pytest.mark.parametrize("kind", ["money_transfer", "account_fund", "card_validation"])
def test_money_that_people_move_is_no_sale(kind: str, payment: Any) -> None:
    found = read(payment, operation_type=kind)
    assert (found.status, found.customer) == ("ignored", Customer())
    assert not uses_unknown_word(mercadopago, found)
    assert read(payment, operation_type="regular_payment").status == "approved"


@pytest.mark.parametrize(
    ("given_back", "status"), [(0, "approved"), (20, "partially_refunded"), (97.5, "approved")]
)
def test_what_was_given_back_says_that_it_was_a_part(
    given_back: float, status: str, payment: Any
) -> None:
    assert read(payment, transaction_amount_refunded=given_back).status == status


def test_lines_are_no_more_than_what_was_paid(payment: Any) -> None:
    items = [
        {"id": "a", "quantity": 1, "unit_price": "60"},
        {"id": "b", "quantity": 2, "unit_price": "30"},
    ]
    found = read(
        payment, transaction_amount=100, shipping_amount=10, additional_info={"items": items}
    )
    assert [(product.id, product.value) for product in found.products] == [
        ("a", "45.00"),
        ("b", "45.00"),
    ]


def test_where_the_buyer_lives(payment: Any) -> None:
    parcel = {"zip_code": "69005010", "city_name": "Manaus", "state_name": "Amazonas"}
    payment["additional_info"] |= {"payer": {}, "shipments": {"receiver_address": parcel}}
    found = read(payment).customer
    assert found.zp and found.ct and found.st
