"""Shopify: what its lines cost, which orders nobody placed, which were placed at a till, and what
is only a test.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sinal_hub.gateways import is_test, registry
from sinal_hub.model.sale import Client, Sale

Tree = Callable[[str], Any]
Parse = Callable[..., Sale]


@pytest.fixture
def order(tree: Tree) -> Any:
    return tree("shopify/orders_paid.reconstructed.json")


def line(price: str, quantity: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "product_id": 7,
        "variant_id": 8,
        "quantity": quantity,
        "price": price,
    } | fields


class TestLines:
    @pytest.mark.parametrize(
        "discount",
        [{"discount_allocations": [{"amount": "12.00"}, {"amount": "8.00"}], "total_discount": "12.00"},
         {"total_discount": "20.00"}, {"discount_allocations": [], "total_discount": "20.00"}],
    )  # fmt: skip
    def test_a_line_costs_what_its_discounts_leave(
        self, discount: Any, order: Any, sale: Parse
    ) -> None:
        order |= {"total_price": "80.00", "line_items": [line("50.00", 2, **discount)]}
        assert [(p.id, p.quantity, p.value) for p in sale("shopify", order).products] == [
            ("7", 2, "80.00")
        ]

    def test_a_discount_that_no_line_has_is_spread(self, order: Any, sale: Parse) -> None:
        shipping = {
            "total_shipping_price_set": {"shop_money": {"amount": "15.00", "currency_code": "BRL"}}
        }
        order |= shipping | {"total_price": "95.00", "line_items": [line("30.00"), line("70.00")]}
        values = [Decimal(p.value or 0) for p in sale("shopify", order).products]
        assert values == [Decimal("24.00"), Decimal("56.00")]

    def test_delivery_tips_and_taxes_are_no_lines(self, order: Any, sale: Parse) -> None:
        order |= {
            "total_price": "119.00",
            "taxes_included": False,
            "total_tax": "4.00",
            "total_tip_received": "5.00",
        }
        order |= {
            "shipping_lines": [{"price": "10.00"}],
            "line_items": [line("60.00"), line("40.00")],
        }
        assert [p.value for p in sale("shopify", order).products] == ["60.00", "40.00"]


class TestRenewals:
    @pytest.mark.parametrize(
        ("source", "tags", "renewal"),
        [("subscription_contract", "", True), ("subscription_contract_checkout_one", "", False), ("web", "", False),
         ("294517", "Subscription, Subscription Recurring "
"Order", True), ("294517", "Subscription First Order", False),
         ("web", "appstle_subscription_recurring_order", True), ("web", "recurring customer first "
"order", False),
         ("web", "vip, Renewal", True), ("web", "sealsubs:recurring-order", True), ("web", "skin-renewal", False),
         ("web", "renewal-sale-2026", False)],
    )  # fmt: skip
    def test_orders_that_a_subscription_made(
        self, source: str, tags: str, renewal: bool, order: Any, sale: Parse
    ) -> None:
        assert sale("shopify", order | {"source_name": source, "tags": tags}).renewal is renewal


class TestTill:
    def test_an_order_of_a_till_wears_no_browser(self, order: Any, sale: Parse) -> None:
        details = {"browser_ip": "177.10.20.30", "user_agent": "Shopify POS/9.1 iPad"}
        found = sale("shopify", order | {"source_name": "pos", "client_details": details})
        assert (found.in_person, found.client) == (True, Client())
        assert sale("shopify", order | {"source_name": "web"}).in_person is msgspec.UNSET


class TestRefunds:
    def refunds(self, *amounts: str, status: str = "success") -> list[Any]:
        return [
            {"id": 1, "transactions": [{"kind": "refund", "status": status, "amount": a}]}
            for a in amounts
        ]

    def test_an_order_adds_up_its_refunds(self, order: Any, sale: Parse) -> None:
        order |= {"financial_status": "partially_refunded", "current_total_price": "319.80"}
        assert (
            sale("shopify", order | {"refunds": self.refunds("10.00", "9.50")}).refunded_value
            == "19.50"
        )

    def test_an_order_without_its_refunds_says_what_is_left(self, order: Any, sale: Parse) -> None:
        order |= {"financial_status": "partially_refunded", "current_total_price": "299.80"}
        assert sale("shopify", order).refunded_value == "20.00"
        assert sale("shopify", order | {"financial_status": "paid"}).refunded_value is msgspec.UNSET


class TestButton:
    @pytest.mark.parametrize(
        ("headers", "test"),
        [({"x-shopify-test": "true"}, True), ({"X-Shopify-Test": "True"}, True), ({"x-shopify-test": "false"}, False),
         ({}, False)],
    )  # fmt: skip
    def test_the_header_of_the_test_button(self, headers: dict[str, str], test: bool) -> None:
        assert is_test(registry()["shopify"], headers) is test

    def test_other_gateways_have_no_such_header(self) -> None:
        headers = {"x-shopify-test": "true"}
        assert [name for name, gateway in registry().items() if is_test(gateway, headers)] == [
            "shopify"
        ]
