"""PagBank, Cartpanda, Appmax and others: several charges, refunds in part, renewals, tests, and
which money it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sinal_hub.gateways import pagbank
from sinal_hub.model.sale import Client, Sale

ANSWERS = Path(__file__).parents[2] / "fixtures" / "readback"
Tree = Callable[[str], Any]
Parse = Callable[..., Sale]


class TestPagBank:
    def order(self, tree: Tree, *charges: tuple[str, int, int], **fields: Any) -> Any:
        """Charges as status, cents and refunded cents."""
        payload = tree("pagbank/order_paid.reconstructed.json")
        payload["charges"] = [
            {"id": f"CHAR_{at}", "status": status, "created_at": "2026-09-01T09:00:10.000-03:00",
             "amount": {"value": cents, "currency": "BRL", "summary": {"refunded": refunded}}} | fields
            for at, (status, cents, refunded) in enumerate(charges)
        ]  # fmt: skip
        return payload

    def test_one_of_two_cards_given_back_is_a_refund_in_part(self, tree: Tree, sale: Parse) -> None:
        found = sale("pagbank", self.order(tree, ("PAID", 5000, 0), ("CANCELED", 2500, 2500)))
        assert (found.status, found.value, found.refunded_value) == (
            "partially_refunded",
            "75.00",
            "25.00",
        )

    def test_both_cards_given_back_are_a_whole_one(self, tree: Tree, sale: Parse) -> None:
        found = sale(
            "pagbank", self.order(tree, ("CANCELED", 5000, 5000), ("CANCELED", 2500, 2500))
        )
        assert (found.status, found.value, found.refunded_value) == ("refunded", "75.00", "75.00")

    def test_a_refused_card_is_no_part_of_the_order(self, tree: Tree, sale: Parse) -> None:
        found = sale("pagbank", self.order(tree, ("DECLINED", 9000, 0), ("PAID", 5000, 1000)))
        assert (found.status, found.value, found.refunded_value) == (
            "partially_refunded",
            "50.00",
            "10.00",
        )

    @pytest.mark.parametrize(("word", "renewal"), [("INITIAL", False), ("SUBSEQUENT", True)])
    def test_later_charges_of_a_subscription(
        self, word: str, renewal: bool, tree: Tree, sale: Parse
    ) -> None:
        assert (
            sale("pagbank", self.order(tree, ("PAID", 5000, 0), recurring={"type": word})).renewal
            is renewal
        )

    @pytest.mark.parametrize(
        ("host", "test"), [("sandbox.api.pagseguro.com", True), ("api.pagseguro.com", False)]
    )
    def test_orders_of_the_sandbox(self, host: str, test: bool, tree: Tree, sale: Parse) -> None:
        links = [{"rel": "SELF", "href": f"https://{host}/orders/ORDE_1"}]
        assert sale("pagbank", self.order(tree, ("PAID", 5000, 0)) | {"links": links}).test is test

    def test_lines_are_no_more_than_what_was_paid(self, tree: Tree, sale: Parse) -> None:
        assert [
            one.value for one in sale("pagbank", self.order(tree, ("PAID", 5000, 0))).products
        ] == ["50.00"]

    def test_a_sale_at_a_card_machine(self) -> None:
        raw = (ANSWERS / "pagbank" / "transaction.paid.reconstructed.xml").read_bytes()
        machine = b"<deviceInfo><serialNumber>1170</serialNumber><bin>512345</bin></deviceInfo></transaction>"
        (online,) = pagbank.parse_readback(raw)
        (at_a_till,) = pagbank.parse_readback(raw.replace(b"</transaction>", machine))
        assert (online.in_person, at_a_till.in_person) == (msgspec.UNSET, True)


class TestCartpanda:
    @pytest.fixture
    def abroad(self, tree: Tree) -> Any:
        """A shop of Brazil that sold in dollars.

        `order.currency` is not the currency of its totals.
        """
        payload = tree("cartpanda/order.paid.reconstructed.json")
        payload["order"] |= {
            "currency": "USD",
            "total_price": 1115.07,
            "payment": {
                "currency": "BRL",
                "actual_price_paid": 221.490277,
                "actual_price_paid_currency": "USD",
            },
            "line_items": [
                {"product_id": 9, "price": 1042.12, "actual_price_paid": 207, "quantity": 1}
            ],
        }
        return payload

    def test_lines_are_in_the_money_of_the_buyer(self, abroad: Any, sale: Parse) -> None:
        found = sale("cartpanda", abroad)
        assert (found.value, found.currency, found.products[0].value) == ("221.49", "USD", "207.00")
        del abroad["order"]["line_items"][0]["actual_price_paid"]
        assert sale("cartpanda", abroad).products[0].value is None

    def test_a_total_is_in_the_money_of_the_shop(self, abroad: Any, sale: Parse) -> None:
        abroad["order"]["payment"] = {}
        abroad["order"]["shop_info"] = {"settings_general": {"base_currency": "BRL"}}
        found = sale("cartpanda", abroad)
        assert (found.value, found.currency, found.products[0].value) == (
            "1115.07",
            "BRL",
            "207.00",
        )
        abroad["order"]["total_price"] = "1.115,07"
        assert sale("cartpanda", abroad).value == "1115.07"

    @pytest.mark.parametrize(
        ("back", "status", "refunded"),
        [
            (1115.07, "refunded", "221.49"),
            (557.54, "partially_refunded", "110.75"),
            (0, "refunded", None),
        ],
    )
    def test_refunds_are_held_against_the_total(
        self, back: float, status: str, refunded: str | None, abroad: Any, sale: Parse
    ) -> None:
        abroad |= {"event": "order.refunded"}
        abroad["order"]["refunds"] = [{"total_amount": back}]
        found = sale("cartpanda", abroad)
        assert (found.status, found.refunded_value or None) == (status, refunded)

    def test_an_upsell_raises_the_same_order(self, tree: Tree, sale: Parse) -> None:
        paid = tree("cartpanda/order.paid.reconstructed.json")
        first = sale("cartpanda", paid)
        paid["order"]["payment"]["actual_price_paid"] = 79.9
        upsell, again = (sale("cartpanda", paid | {"event": "order.upsell"}) for _ in range(2))
        assert (upsell.status, upsell.order_id, upsell.value) == (
            "approved",
            first.order_id,
            "79.90",
        )
        assert first.event_key != upsell.event_key == again.event_key

    def test_a_contested_order_whatever_the_event(self, tree: Tree, sale: Parse) -> None:
        payload = tree("cartpanda/order.paid.reconstructed.json") | {"event": "order.updated"}
        payload["order"]["chargeback_received"] = 1
        assert sale("cartpanda", payload).status == "chargeback"

    def test_the_browser_in_its_other_place(self, tree: Tree, sale: Parse) -> None:
        payload = tree("cartpanda/order.paid.reconstructed.json")
        details = {"browser_ip": "203.0.113.9", "user_agent": "Mozilla/5.0 (Other)"}
        payload["order"] |= {"browser_ip": None, "user_agent": None, "client_details": details}
        assert sale("cartpanda", payload).client == Client(
            ip="203.0.113.9", user_agent="Mozilla/5.0 (Other)"
        )


class TestAppmax:
    @pytest.mark.parametrize(
        ("back", "status", "refunded"),
        [
            (0, "refunded", None),
            (100.5, "partially_refunded", "100.50"),
            (582.67, "refunded", "582.67"),
        ],
    )
    def test_a_refund_that_says_how_much(
        self, back: float, status: str, refunded: str | None, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("appmax/OrderRefund.json")
        payload["data"]["total_refunded"] = back
        found = sale("appmax", payload)
        assert (found.status, found.refunded_value or None) == (status, refunded)

    def test_lines_are_no_more_than_what_was_paid(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderApproved.json")
        products = [{"id": 1, "price": 200, "quantity": 1}, {"id": 2, "price": 165, "quantity": 1}]
        payload["data"] |= {
            "products": products,
            "total": 267.48,
            "freight_value": 2.48,
            "discount": 100,
        }
        assert [one.value for one in sale("appmax", payload).products] == ["145.21", "119.79"]

    @pytest.mark.parametrize("name", ["OrderApproved", "CustomerInterested"])
    def test_the_browser_of_the_customer(self, name: str, tree: Tree, sale: Parse) -> None:
        payload = tree(f"appmax/{name}.json")
        customer = payload["data"].get("customer", payload["data"])
        customer |= {"ip": "177.10.20.30", "user_agent": "Mozilla/5.0 (Buyer)"}
        assert sale("appmax", payload).client == Client(
            ip="177.10.20.30", user_agent="Mozilla/5.0 (Buyer)"
        )

    @pytest.mark.parametrize(("word", "test"), [("production", False), ("PRODUCTION", False), ("live", False),
                                                ("sandbox", True)])  # fmt: skip
    def test_production_in_any_spelling_is_no_test(
        self, word: str, test: bool, tree: Tree, sale: Parse
    ) -> None:
        assert (
            sale("appmax", tree("appmax/order_paid.old_legacy.json") | {"environment": word}).test
            is test
        )


def test_nothing_with_a_sign_is_nothing(tree: Tree, sale: Parse) -> None:
    assert sale("pushinpay", tree("pushinpay/paid.shape.json") | {"value": "-0"}).value == "0.00"
    assert sale("pushinpay", tree("pushinpay/paid.shape.json") | {"value": -100}).value is None


def test_pushinpay_in_both_spellings(tree: Tree, sale: Parse) -> None:
    payload = tree("pushinpay/paid.shape.json")
    found = [
        sale("pushinpay", payload | {"status": word}, now=0.0).status
        for word in ("canceled", "cancelled")
    ]
    assert found == ["canceled", "canceled"]


WRITTEN = [
    ("1497.00", "1497.00"),
    (1497.5, "1497.50"),
    ("1.497,00", "1497.00"),
    ("1.497", "1497.00"),
    ("R$ 1.497,00", "1497.00"),
]


@pytest.mark.parametrize(("written", "value"), WRITTEN)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("appmax/OrderApproved.json", ("data", "total")),
        ("cartpanda/order.paid.reconstructed.json", ("order", "payment", "actual_price_paid")),
        ("syncpay/old_api.PAID_OUT.shape.json", ("data", "amount")),
        ("yampi/order.paid.reconstructed.json", ("resource", "value_total")),
    ],
)
def test_amounts_that_were_written_for_people(
    name: str, path: tuple[str, ...], written: object, value: str, tree: Tree, sale: Parse
) -> None:
    payload = tree(name)
    place = payload
    for step in path[:-1]:
        place = place[step]
    assert path[-1] in place
    place[path[-1]] = written
    assert sale(name.partition("/")[0], payload).value == value


@pytest.mark.parametrize(
    ("written", "value", "currency"),
    [
        ("MX$ 499.00", "499.00", "MXN"),
        ("S/ 99,90", "99.90", "PEN"),
        ("Gs. 150.000", "150000", "PYG"),
        ("CLP$ 15.990", "15990", "CLP"),
        ("Kz 15.000,00", "15000.00", "AOA"),
        ("¥ 1.500", "1500.00", None),  # of Japan or of China
    ],
)
def test_signs_of_other_currencies(
    written: str, value: str, currency: str | None, tree: Tree, sale: Parse
) -> None:
    found = sale("kirvano", tree("kirvano/SALE_APPROVED.json") | {"total_price": written})
    assert (found.value, found.currency) == (value, currency)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("25/02/2025 18:42:02", "2025-02-25T21:42:02Z"),
        ("25/02/2025 18:42", "2025-02-25T21:42:00Z"),
        ("25/02/2025", "2025-02-25T03:00:00Z"),
        ("2025-02-25 18:42:02 UTC", "2025-02-25T18:42:02Z"),
        ("2025-02-25 18:42:02 -0300", "2025-02-25T21:42:02Z"),
        ("31/02/2025 18:42:02", "1970-01-01T00:00:00Z"),  # a day that is none: the time of receipt
    ],
)
def test_dates_as_brazil_and_programs_write_them(
    written: str, moment: str, tree: Tree, sale: Parse
) -> None:
    payload = tree("kirvano/SALE_APPROVED.json") | {"created_at": written, "payment": {}}
    assert sale("kirvano", payload, now=0.0).occurred_at == moment


@pytest.mark.parametrize("address", ["255.255.255.255", "224.0.0.1", "240.0.0.1"])
def test_addresses_that_no_buyer_has(address: str, tree: Tree, sale: Parse) -> None:
    payload = tree("cartpanda/order.paid.reconstructed.json")
    payload["order"]["browser_ip"] = f"{address}, 177.10.20.30"
    assert sale("cartpanda", payload).client.ip == "177.10.20.30"
