"""What senders were seen to send beside their documentation: money, trials, renewals, parts, tests,
addresses, UTMs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest
from msgspec import UNSET

from sinal_hub.gateways import (
    _money,
    _tracking,
    eduzz,
    hotmart,
    monetizze,
    registry,
    uses_unknown_word,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import with_country
from sinal_hub.model.sale import Sale

Tree = Callable[[str], Any]
Parse = Callable[..., Sale]

APPROVED = {
    "hotmart": "hotmart/PURCHASE_APPROVED.pix.json",
    "kiwify": "kiwify/order_approved.real_shape.reconstructed.json",
    "perfectpay": "perfectpay/2_approved.json",
    "braip": "braip/STATUS_ALTERADO.2_aprovado.reconstructed.json",
    "kirvano": "kirvano/SALE_APPROVED.json",
    "cakto": "cakto/purchase_approved.shape.json",
    "monetizze": "monetizze/2_finalizada.shape_from_official_example.json",
    "eduzz": "eduzz/v3.invoice_paid.reconstructed.json",
    "ticto": "ticto/authorized.reconstructed.json",
    "lastlink": "lastlink/Purchase_Order_Confirmed.reconstructed.json",
}
OLD_EDUZZ = "eduzz/old.paid.reconstructed.json"
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0"


def put(tree: Any, path: str, value: Any) -> Any:
    """The tree with a value at a dotted path, made where it is missing."""
    *above, last = path.split(".")
    place = tree
    for name in above:
        if not isinstance(place.get(name), dict):
            place[name] = {}
        place = place[name]
    place[last] = value
    return tree


def clear_of(found: Sale) -> dict[str, str]:
    assert isinstance(found.customer.clear, dict)
    return found.customer.clear


class TestMoney:
    @pytest.mark.parametrize(
        ("written", "value", "currency"),
        [("1.169", "1169.00", "BRL"), ("R$ 1.169", "1169.00", "BRL"), ("R$ 1.297,00", "1297.00", "BRL"),
         ("1,297.00", "1297.00", "BRL"), ("1,169", "1169.00", "BRL"), ("1.169.000", "1169000.00", "BRL"),
         ("US$ 10", "10.00", "USD"), ("U$ 1.297,50", "1297.50", "USD"), ("10.90 USD", "10.90", "USD"),
         ("EUR 1.234,56", "1234.56", "EUR"), ("€ 97", "97.00", "EUR"), ("$ 97", "97.00", "BRL"),
         ("R$\u00a049,90", "49.90", "BRL"), ("0.500", "0.50", "BRL"), ("1169.000", "1169.00", "BRL"),
         ("97.0000", "97.00", "BRL"), ("97,5", "97.50", "BRL"), ("12.3", "12.30", "BRL"),
         ("CLP 10.000", "10000", "CLP"),
         ("KWD 1.234", "1.234", "KWD"), (1.169, "1.17", "BRL"), (97, "97.00", "BRL"), ("R$ 1.16,80", None, None),
         ("R$ 1,2,3", None, None), ("-5,00", None, None), ("grátis", None, None), ("", None, None), (None, None, None),
         (True, None, None), (["97"], None, None)],
    )  # fmt: skip
    def test_an_amount_is_read_as_its_writer_meant_it(
        self, written: Any, value: Any, currency: Any
    ) -> None:
        node = Node({"it": Decimal(str(written)) if isinstance(written, float) else written})
        assert _money.price(node, "it", default="BRL") == (value, currency)

    def test_three_digits_behind_a_dot_are_thousands_of_reais(
        self, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["kirvano"]) | {"total_price": "1.169"}
        payload["products"] = [payload["products"][0] | {"price": "1.169"}]
        found = sale("kirvano", payload)
        assert (found.value, found.currency, found.products[0].value) == (
            "1169.00",
            "BRL",
            "1169.00",
        )

    def test_a_currency_that_stands_in_the_amount_is_its_currency(
        self, tree: Tree, sale: Parse
    ) -> None:
        found = sale("kirvano", tree(APPROVED["kirvano"]) | {"total_price": "US$ 1,297.00"})
        assert (found.value, found.currency) == ("1297.00", "USD")

    @pytest.mark.parametrize(
        ("gateway", "path"),
        [("kirvano", "total_price"), ("monetizze", "venda.valor"), ("perfectpay", "sale_amount"),
         ("cakto", "data.amount"), ("eduzz", "data.price.value"), ("lastlink", "Data.Purchase.Price.Value"),
         ("hotmart", "data.purchase.price.value")],
    )  # fmt: skip
    def test_every_gateway_of_decimals_reads_thousands_without_cents(
        self, gateway: str, path: str, tree: Tree, sale: Parse
    ) -> None:
        found = sale(gateway, put(tree(APPROVED[gateway]), path, "1.169"))
        assert (found.value, found.currency) == ("1169.00", "BRL")

    @pytest.mark.parametrize("gateway", sorted(APPROVED.keys() - {"hotmart"}))
    def test_a_gateway_that_sells_in_reais_means_reais(
        self, gateway: str, tree: Tree, sale: Parse
    ) -> None:
        text = json.dumps(tree(APPROVED[gateway]))
        for told in ('"BRL"', '"currency_enum": 1'):
            text = text.replace(told, "null" if told == '"BRL"' else '"currency_enum": null')
        found = sale(gateway, text.encode())
        assert found.value is not None and found.currency == "BRL"

    @pytest.mark.parametrize(
        ("gateway", "path"),
        [
            ("kiwify", "Commissions.charge_amount"),
            ("ticto", "order.paid_amount"),
            ("braip", "trans_value"),
        ],
    )
    @pytest.mark.parametrize(
        ("told", "value"),
        [
            (3990, "39.90"),
            ("3990", "39.90"),
            (3990.0, "39.90"),
            (39.9, "39.90"),
            ("39.90", "39.90"),
        ],
    )
    def test_there_is_no_part_of_a_cent(
        self, gateway: str, path: str, told: Any, value: str, tree: Tree, sale: Parse
    ) -> None:
        assert sale(gateway, put(tree(APPROVED[gateway]), path, told)).value == value

    def test_lines_come_down_to_what_was_paid(self) -> None:
        assert _money.shared(["119.90", "49.90"], "150.00", "BRL") == ["105.92", "44.08"]
        assert _money.shared(["10.00", "10.00", "10.00"], "20.00", "BRL") == [
            "6.68",
            "6.66",
            "6.66",
        ]
        # delivery is in the total
        assert _money.shared(["119.90", "49.90"], "189.80", "BRL") == ["119.90", "49.90"]
        assert _money.shared(["119.90", None], "100.00", "BRL") == ["119.90", None]
        assert _money.shared(["100"], "80", "JPY") == ["80"]
        assert _money.lines(["10.00", "5.00"], [2, 1], "25.00", "BRL") == ["20.00", "5.00"]
        assert _money.lines(["20.00", "5.00"], [2, 1], "25.00", "BRL") == ["20.00", "5.00"]

    def test_a_discount_on_the_whole_is_a_discount_on_each_item(
        self, tree: Tree, sale: Parse
    ) -> None:
        kirvano = sale("kirvano", tree(APPROVED["kirvano"]) | {"total_price": "R$ 150,00"})
        assert [product.value for product in kirvano.products] == ["105.92", "44.08"]
        v3 = put(tree(APPROVED["eduzz"]), "data.price.value", 158)
        assert [product.value for product in sale("eduzz", v3).products] == ["120.00", "38.00"]
        old = tree(OLD_EDUZZ) | {
            "trans_items": [{"item_id": "1", "item_product_id": "7", "item_value": "100.00"}]
        }
        assert sale("eduzz", old).products[0].value == "97.00"
        braip = tree(APPROVED["braip"]) | {"trans_value": 49600, "trans_discount_value": 2000}
        assert sum(
            Decimal(product.value or 0) for product in sale("braip", braip).products
        ) == Decimal("496.00")
        ticto = put(tree(APPROVED["ticto"]), "order.paid_amount", 15000)
        assert (sale("ticto", ticto).value, sale("ticto", ticto).products[0].value) == (
            "150.00",
            "150.00",
        )
        lastlink = tree(APPROVED["lastlink"])
        lastlink["Data"]["Products"] = [
            {"Id": "a", "Price": 80},
            {"Id": "b", "Price": {"Value": 40}},
        ]
        lastlink["Data"]["Purchase"]["Price"]["Value"] = 90
        assert [product.value for product in sale("lastlink", lastlink).products] == [
            "60.00",
            "30.00",
        ]


class TestHotmartsCurrency:
    @pytest.fixture
    def bare(self, tree: Tree) -> Any:
        """A purchase of 150.60 whose price has no currency, nor anything else of the body."""
        payload = tree(APPROVED["hotmart"])
        purchase = payload["data"]["purchase"]
        purchase |= {
            "price": {"value": 150.6},
            "full_price": {"value": 180.1},
            "original_offer_price": None,
        }
        purchase["checkout_country"] = {}
        payload["data"]["commissions"] = [
            {"source": "MARKETPLACE", "value": 14.9},
            {"source": "PRODUCER", "value": 135.7},
        ]
        return payload

    def test_no_other_place_tells_it(self, bare: Any, sale: Parse) -> None:
        assert (sale("hotmart", bare).value, sale("hotmart", bare).currency) == ("150.60", None)

    @pytest.mark.parametrize(
        ("offer", "currency"),
        [({"value": 150.6, "currency_value": "BRL"}, "BRL"), ({"value": "150.60", "currency_value": "usd"}, "USD"),
         ({"value": 29.9, "currency_value": "USD"}, None), ({"value": 150.6}, None)],
    )  # fmt: skip
    def test_a_price_has_the_currency_of_an_offer_of_the_same_amount(
        self, offer: Any, currency: str | None, bare: Any, sale: Parse
    ) -> None:
        bare["data"]["purchase"]["original_offer_price"] = offer
        assert (sale("hotmart", bare).value, sale("hotmart", bare).currency) == ("150.60", currency)

    def test_what_was_paid_with_interest_has_it_too(self, bare: Any, sale: Parse) -> None:
        bare["data"]["purchase"]["full_price"]["currency_value"] = "EUR"
        assert sale("hotmart", bare).currency == "EUR"

    @pytest.mark.parametrize(
        ("codes", "values", "country", "currency"),
        [("BRL BRL", [14.9, 135.7], None, "BRL"), ("EUR EUR", [14.9, 135.7], "PT", "EUR"),
         ("BRL BRL", [80, 700], "US", None), ("BRL BRL", [80, 50], "BR", "BRL"),
         ("BRL USD", [14.9, 135.7], "BR", None)],
    )  # fmt: skip
    def test_commissions_tell_it_where_they_come_to_the_price(
        self,
        codes: str,
        values: list[float],
        country: str | None,
        currency: str | None,
        bare: Any,
        sale: Parse,
    ) -> None:
        told = zip(codes.split(), values, strict=True)
        bare["data"]["commissions"] = [
            {"value": value, "currency_value": code} for code, value in told
        ]
        bare["data"]["purchase"]["checkout_country"] = {"iso": country}
        assert sale("hotmart", bare).currency == currency


class TestSubscriptions:
    # What makes an approval of each gateway one of a subscription S that costs nothing, and then
    # its second charge.
    TRIALS = (
        ("hotmart", {"data.purchase.price.value": 0, "data.subscription": {"subscriber": {"code": "S"}},
                     "data.purchase.recurrence_number": 1},
         {"data.purchase.price.value": 97, "data.purchase.recurrence_number": 2}),
        ("kiwify", {"Commissions.charge_amount": 0, "subscription_id": "S"},
         {"Commissions.charge_amount": 9700, "Subscription.charges.completed": [{"order_id": "trial", "amount": 1}]}),
        ("perfectpay", {"sale_amount": 0, "subscription": {"code": "S", "charges_made": 0}},
         {"sale_amount": 97, "subscription.charges_made": 2}),
        ("cakto", {"data.amount": 0, "data.subscription": {"id": "S", "current_period": 1}},
         {"data.amount": 97, "data.subscription.current_period": 2}),
        ("monetizze", {"venda.valor": "0.00", "assinatura": {"codigo": "S", "parcela": "1"}},
         {"venda.valor": "97.00", "assinatura.parcela": "2"}),
        ("eduzz", {"data.price.value": 0, "data.contract": {"id": "S", "chargeNumber": 1}},
         {"data.price.value": 97, "data.contract.chargeNumber": 2}),
        ("ticto", {"order.paid_amount": 0, "subscriptions": [{"id": "S", "successful_charges": 1}]},
         {"order.paid_amount": 9700, "subscriptions": [{"id": "S", "successful_charges": 2}]}),
        ("lastlink", {"Data.Purchase.Price.Value": 0, "Data.Subscriptions": [{"Id": "S"}]},
         {"Data.Purchase.Price.Value": 97, "Data.Purchase.Recurrency": 2}),
    )  # fmt: skip

    @pytest.mark.parametrize(("gateway", "trial", "charge"), TRIALS)
    def test_a_trial_that_costs_nothing_is_not_a_purchase_and_is_remembered(
        self, gateway: str, trial: dict[str, Any], charge: dict[str, Any], tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway])
        assert (sale(gateway, payload).status, sale(gateway, payload).trial) == ("approved", UNSET)
        for path, value in trial.items():
            put(payload, path, value)
        begun = sale(gateway, payload)
        assert (begun.status, begun.trial, begun.subscription_id) == (
            "subscription_changed",
            True,
            "S",
        )
        for path, value in charge.items():
            put(payload, path, value)
        later = sale(gateway, payload)
        assert (later.status, later.renewal, later.subscription_id, later.trial) == (
            "approved",
            True,
            "S",
            UNSET,
        )

    @pytest.mark.parametrize(("gateway", "trial", "charge"), TRIALS)
    def test_a_later_cycle_of_nothing_begins_no_trial(
        self, gateway: str, trial: dict[str, Any], charge: dict[str, Any], tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway])
        for path, value in (trial | charge).items():
            put(
                payload,
                path,
                trial.get(path, value) if str(trial.get(path)) in ("0", "0.00") else value,
            )
        assert (sale(gateway, payload).status, sale(gateway, payload).trial) == (
            "subscription_changed",
            UNSET,
        )

    @pytest.mark.parametrize(
        ("gateway", "changes"),
        [("braip", {"trans_value": 0, "subs_key": "S"}),
         ("kirvano", {"total_price": "R$ 0,00", "type": "RECURRING", "plan": {"charge_number": 1}})],
    )  # fmt: skip
    def test_a_trial_without_an_id_is_not_a_purchase_either(
        self, gateway: str, changes: dict[str, Any], tree: Tree, sale: Parse
    ) -> None:
        assert sale(gateway, tree(APPROVED[gateway]) | changes).status == "subscription_changed"

    def test_what_is_free_for_ever_is_an_approval_of_nothing(self, tree: Tree, sale: Parse) -> None:
        found = sale("kirvano", tree(APPROVED["kirvano"]) | {"total_price": "R$ 0,00"})
        assert (found.status, found.value) == ("approved", "0.00")

    @pytest.mark.parametrize(
        ("paid", "contract", "status"),
        [("0.00", "10", "subscription_changed"), ("0", 10, "subscription_changed"), ("97.00", "10", "approved"),
         ("0.00", "1", "approved")],
    )  # fmt: skip
    def test_eduzzs_invoice_of_a_trial_has_its_later_price(
        self, paid: str, contract: Any, status: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(OLD_EDUZZ) | {
            "trans_paid": paid,
            "recurrence_cod": "7",
            "recurrence_status": contract,
        }
        assert sale("eduzz", payload).status == status

    @pytest.mark.parametrize("word", ["trial", "trial_started", "trial_ended", "trial_extended"])
    def test_tictos_trials_are_known(self, word: str, tree: Tree, sale: Parse) -> None:
        found = sale("ticto", tree(APPROVED["ticto"]) | {"status": word})
        assert found.status == "subscription_changed"
        assert not uses_unknown_word(registry()["ticto"], found)

    @pytest.mark.parametrize(
        ("made", "event", "renewal"),
        [(1, "subscription_started", False), (3, "approved", True), ("2", None, True),
        (1, "subscription_renewed", False),
         (None, "subscription_renewed", True), (None, "approved", False)],
    )  # fmt: skip
    def test_perfectpay_counts_its_charges(
        self, made: Any, event: str | None, renewal: bool, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["perfectpay"]) | {
            "subscription": {"charges_made": made, "status_event": event}
        }
        assert sale("perfectpay", payload).renewal is renewal

    @pytest.mark.parametrize(
        ("beside", "subscription", "renewal"),
        [(None, {"current_period": 8}, True), (2, {"current_period": 8}, True), (2, {"current_period": 1}, True),
         (1, {"current_period": 1}, False), (None, {"current_period": 1, "trial_days": 0}, False),
         (2, {"current_period": 2, "trial_days": 7, "paid_payments_quantity": 1}, False),
         (3, {"current_period": 3, "trial_days": 7, "paid_payments_quantity": 2}, True),
         (2, {"current_period": 2, "trial_days": 0, "paid_payments_quantity": 1}, True)],
    )  # fmt: skip
    def test_caktos_period_may_stand_in_the_subscription(
        self, beside: int | None, subscription: Any, renewal: bool, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["cakto"])
        payload["data"] |= {"subscription_period": beside, "subscription": subscription}
        assert sale("cakto", payload).renewal is renewal

    def test_caktos_later_charge_names_the_first_order(self, tree: Tree, sale: Parse) -> None:
        payload = tree(APPROVED["cakto"])
        payload["data"] |= {
            "parent_order": "SHORT",
            "subscription": {"parent_order": "first-order"},
        }
        assert sale("cakto", payload).parent_order_id == "first-order"
        payload["data"]["subscription"]["parent_order"] = payload["data"]["id"]
        assert sale("cakto", payload).parent_order_id == "SHORT"

    @pytest.mark.parametrize(("amount", "renewal"), [(4947, True), (0, False)])
    def test_kiwifys_first_money_after_a_trial_is_a_purchase(
        self, amount: int, renewal: bool, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["kiwify"])
        payload["Subscription"]["charges"]["completed"].append(
            {"order_id": "earlier", "amount": amount}
        )
        assert sale("kiwify", payload).renewal is renewal

    @pytest.mark.parametrize(("number", "renewal"), [(1, False), (2, True), ("3", True)])
    def test_kirvano_numbers_its_charges(
        self, number: Any, renewal: bool, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["kirvano"]) | {
            "type": "RECURRING",
            "plan": {"charge_number": number},
        }
        assert sale("kirvano", payload).renewal is renewal

    def test_monetizzes_later_parts_are_renewals(self, tree: Tree, sale: Parse) -> None:
        payload = tree(APPROVED["monetizze"]) | {"recuperacao_parcelada": {"parcela": "2"}}
        assert sale("monetizze", payload).renewal

    def test_lastlinks_renewal_by_its_newer_word(self, tree: Tree, sale: Parse) -> None:
        found = sale(
            "lastlink", tree(APPROVED["lastlink"]) | {"Event": "Subscription_Renewal_Approved"}
        )
        assert (found.status, found.renewal) == ("subscription_renewed", True)


class TestItems:
    def items(self, *told: tuple[str, str, str, str]) -> list[dict[str, str]]:
        names = ("produto", "valor", "principal", "quantidade")
        return [
            dict(zip(names, one, strict=True)) | {"nome": one[0], "codPlano": f"p{one[0]}"}
            for one in told
        ]

    def test_monetizze_lists_bumps_beside_the_main_item(self, tree: Tree, sale: Parse) -> None:
        payload = put(tree(APPROVED["monetizze"]), "venda.valor", "268.90")
        payload["venda_item_order_bump"] = self.items(
            ("9", "69.90", "0", "1"), ("8", "199.00", "1", "1")
        )
        found = sale("monetizze", payload)
        assert found.value == "268.90"
        assert [(p.id, p.offer_id, p.quantity, p.value) for p in found.products] == [
            ("8", "p8", 1, "199.00"),
            ("9", "p9", 1, "69.90"),
        ]

    @pytest.mark.parametrize(
        ("total", "values"),
        [
            ("268.90", ["199.00", "69.90"]),
            ("240.90", ["178.28", "62.62"]),
            ("467.90", ["398.00", "69.90"]),
        ],
    )
    def test_monetizzes_items_come_to_what_was_paid(
        self, total: str, values: list[str], tree: Tree, sale: Parse
    ) -> None:
        payload = put(tree(APPROVED["monetizze"]), "venda.valor", total)
        payload["venda_item_order_bump"] = self.items(
            ("8", "199.00", "1", "2"), ("9", "69.90", "0", "1")
        )
        assert [product.value for product in sale("monetizze", payload).products] == values

    @pytest.mark.parametrize(
        ("told", "parent"), [("777", "777"), (777, "777"), ("", None), ("0", None), (None, None)]
    )
    def test_monetizzes_upsell_names_its_first_sale(
        self, told: Any, parent: str | None, tree: Tree, sale: Parse
    ) -> None:
        payload = put(tree(APPROVED["monetizze"]), "venda.venda_upsell", told)
        assert sale("monetizze", payload).parent_order_id == parent


class TestRefunds:
    @pytest.mark.parametrize(
        ("gateway", "changes"),
        [("hotmart", {"event": "PURCHASE_REFUNDED", "data.purchase.refund_amount": 100}),
         ("kiwify", {"webhook_event_type": "order_refunded", "refunded_amount": 10000,
         "Commissions.charge_amount": 20000}),
         ("perfectpay", {"sale_status_enum": 7, "refund_amount": "100.00"}),
         ("braip", {"trans_status_code": 5, "trans_refund_value": 10000}),
         ("kirvano", {"event": "SALE_REFUNDED", "refund_amount": "R$ 100,00"}),
         ("cakto", {"event": "refund", "data.amount": 150, "data.refundedAmount": 100}),
         ("monetizze", {"tipoEvento.codigo": 4, "venda.valorDevolvido": "100,00"}),
         ("eduzz", {"event": "myeduzz.invoice_refunded", "data.refund": {"value": 100, "type": "partial"}}),
         ("ticto", {"status": "refunded", "order.refunded_amount": 10000}),
         ("lastlink", {"Event": "Payment_Refund", "Data.Purchase.Price.Value": 150,
         "Data.Purchase.RefundAmount": {"Value": 100}})],
    )  # fmt: skip
    def test_less_than_was_paid_is_a_refund_in_part(
        self, gateway: str, changes: dict[str, Any], tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway])
        for path, value in changes.items():
            put(payload, path, value)
        found = sale(gateway, payload)
        assert (found.status, found.refunded_value) == ("partially_refunded", "100.00")
        assert Decimal(found.value or 0) > 100

    @pytest.mark.parametrize(
        ("kind", "status"), [("parcial", "partially_refunded"), ("Parcial", "partially_refunded"),
        ("total", "refunded"),
                             ("", "refunded"), (None, "refunded")],
    )  # fmt: skip
    def test_eduzz_says_that_a_refund_is_in_part(
        self, kind: Any, status: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(OLD_EDUZZ) | {"trans_status": "7", "refund_type": kind}
        assert sale("eduzz", payload).status == status

    @pytest.mark.parametrize(
        "told",
        [{"refund": {"type": "partial"}}, {"refund": {"partial": True}}, {"refundType": "PARTIAL_REFUND"},
         {"isPartialRefund": "true"}, {"refundType": "Reembolso parcial"}],
    )  # fmt: skip
    def test_a_word_or_a_flag_says_that_a_refund_is_in_part(
        self, told: Any, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["eduzz"]) | {"event": "myeduzz.invoice_refunded"}
        assert sale("eduzz", payload).status == "refunded"
        payload["data"] |= told
        assert sale("eduzz", payload).status == "partially_refunded"

    def test_the_kind_of_a_refund_says_nothing_of_an_invoice_that_stands(
        self, tree: Tree, sale: Parse
    ) -> None:
        assert sale("eduzz", tree(OLD_EDUZZ) | {"refund_type": "parcial"}).status == "approved"

    def test_two_parts_are_two_facts(self, tree: Tree, sale: Parse) -> None:
        payload = tree(APPROVED["kirvano"]) | {
            "event": "SALE_REFUNDED",
            "refund_amount": "R$ 10,00",
        }
        assert sale("kirvano", payload).event_key == sale("kirvano", payload).event_key
        assert (
            sale("kirvano", payload).event_key
            != sale("kirvano", payload | {"refund_amount": "R$ 20,00"}).event_key
        )

    def test_a_whole_refund_says_how_much(self, tree: Tree, sale: Parse) -> None:
        payload = tree(APPROVED["perfectpay"]) | {"sale_status_enum": 7, "refund_amount": 385}
        assert (sale("perfectpay", payload).status, sale("perfectpay", payload).refunded_value) == (
            "refunded",
            "385.00",
        )

    @pytest.mark.parametrize("state", ["pending_refund", "refund_requested"])
    def test_a_refund_that_is_asked_for_is_not_done(
        self, state: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED["kiwify"]) | {
            "order_status": state,
            "webhook_event_type": "order_refunded",
        }
        assert sale("kiwify", payload).status == "refund_requested"
        del payload["webhook_event_type"]
        assert sale("kiwify", payload).status == "refund_requested"

    def test_eduzzs_nine_is_a_duplicate_that_is_never_charged(
        self, tree: Tree, sale: Parse
    ) -> None:
        found = sale("eduzz", tree(OLD_EDUZZ) | {"trans_status": "9"})
        assert (found.event, found.status) == ("duplicated", "canceled")


class TestWordsThatAreNew:
    @pytest.mark.parametrize(
        ("gateway", "path", "word", "status"),
        [("kirvano", "event", "PICPAY_GENERATED", "pending"), ("kirvano", "event", "PICPAY_EXPIRED", "expired"),
         ("kirvano", "event", "NUPAY_GENERATED", "pending"), ("kirvano", "event", "REFUND", "refunded"),
         ("kirvano", "event", "SUBSCRIPTION_EXPIRED", "subscription_canceled"),
         ("cakto", "event", "openfinance_nubank_gerado", "pending"), ("cakto", "event", "googlepay_gerado", "pending"),
         ("cakto", "event", "pix_expirado", "expired"), ("kiwify", "webhook_event_type", "picpay_created", "pending"),
         ("kiwify", "webhook_event_type", "pix_expirado", "expired"),
         ("kiwify", "webhook_event_type", "subscription_created", "ignored"),
         ("ticto", "status", "picpay_created", "pending"), ("ticto", "status", "bank_slip_expired", "expired"),
         ("ticto", "status", "subscription_expired", "ignored"),
         ("cakto", "event", "subscription_paused", "subscription_changed"),
         ("cakto", "event", "subscription_late", "subscription_past_due"),
         ("cakto", "event", "subscription_late_recovered", "subscription_changed"),
         ("eduzz", "event", "myeduzz.invoice_refused", "refused"),
         ("eduzz", "event", "myeduzz.invoice_overdue", "overdue"),
         ("eduzz", "event", "myeduzz.contract_card_attempted", "subscription_past_due"),
         ("eduzz", "event", "sun.cart_abandonment", "initiate_checkout")],
    )  # fmt: skip
    def test_a_word_is_read_by_what_it_says(
        self, gateway: str, path: str, word: str, status: str, tree: Tree, sale: Parse
    ) -> None:
        assert sale(gateway, put(tree(APPROVED[gateway]), path, word)).status == status

    def test_the_way_of_a_parcel_is_not_drift(self, tree: Tree, sale: Parse) -> None:
        found = sale("monetizze", put(tree(APPROVED["monetizze"]), "tipoEvento.codigo", 120))
        assert found.status == "ignored" and not uses_unknown_word(registry()["monetizze"], found)


class TestTestButtons:
    @pytest.mark.parametrize(
        ("gateway", "path", "value"),
        [("monetizze", "produto.nome", "X-Wing"), ("monetizze", "produto.nome", "x-wing"),
         ("eduzz", "data.buyer.email", "webhook@eduzz.com"), ("lastlink", "IsTest", True),
         ("kiwify", "Customer.email", "johndoe@example.com"), ("hotmart", "data.product.id", 0)],
    )  # fmt: skip
    def test_what_a_test_button_sends_is_a_test(
        self, gateway: str, path: str, value: Any, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway])
        if gateway == "monetizze":  # the published sample is what the button sends
            assert not sale(gateway, put(tree(APPROVED[gateway]), path, "Curso de verdade")).test
        else:
            assert not sale(gateway, payload).test
        assert sale(gateway, put(payload, path, value)).test

    def test_kirvanos_own_sale_is_a_test(self, tree: Tree, sale: Parse) -> None:
        payload = tree(APPROVED["kirvano"])
        assert (
            sale("kirvano", payload).test
            and sale("kirvano", tree("kirvano/ABANDONED_CART.json")).test
        )
        assert not sale("kirvano", payload | {"sale_id": "A1B2C3D4"}).test
        assert not sale("kirvano", payload | {"checkout_id": "A1B2C3D4"}).test

    def test_hotmarts_button_in_the_older_version(self, tree: Tree, sale: Parse) -> None:
        form = tree("hotmart/v1.0.0_form.approved.reconstructed.json")
        assert not sale("hotmart", form).test
        assert sale("hotmart", form | {"prod_name": "Produto test postback2"}).test
        assert sale("hotmart", form | {"transaction": "HP16015479281022"}).test

    @pytest.mark.parametrize("email", ["webhook@eduzz.com", "Webhook@Eduzz.com"])
    def test_what_eduzz_sends_to_try_a_url_is_a_test(
        self, email: str, tree: Tree, sale: Parse
    ) -> None:
        assert sale("eduzz", tree(OLD_EDUZZ) | {"cus_email": email}).test
        assert not sale("eduzz", tree(OLD_EDUZZ)).test


class TestTheBuyer:
    @pytest.mark.parametrize("mark", [1, "1", True])
    def test_tictos_made_up_address_is_nobodys(self, mark: Any, tree: Tree, sale: Parse) -> None:
        payload = put(tree(APPROVED["ticto"]), "customer.address.is_mock", mark)
        customer = sale("ticto", payload).customer
        assert (customer.ct, customer.st, customer.zp) == ([], [], []) and customer.country
        real = put(payload, "customer.address.is_mock", 0)
        assert all((sale("ticto", real).customer.ct, sale("ticto", real).customer.zp))

    @pytest.mark.parametrize(
        ("code", "number", "whole"),
        [("55", "31983320001", "+5531983320001"), ("+55", "5531983320001", "+5531983320001"),
         ("55", "55991234567", "+5555991234567"), ("351", "912345678", "+351912345678"),
         ("351", "351912345678", "+351912345678"), ("1", "3055551234", "+13055551234"),
         (None, "11987650001", "11987650001"),
         ("", "11987650001", "11987650001"), ("55", "+14155550100", "+14155550100"),
         ("55", "011987650031", "+5511987650031"),
         ("55", None, None)],
    )  # fmt: skip
    def test_a_country_code_beside_the_number(
        self, code: Any, number: Any, whole: str | None
    ) -> None:
        assert with_country(code, number) == whole

    @pytest.mark.parametrize(
        ("gateway", "place", "code", "number"),
        [("kiwify", "Customer", "phone_country_code", "mobile"), ("kirvano", "customer", "ddi", "phone_number"),
         ("cakto", "data.customer", "phoneCountryCode", "phone"), ("monetizze", "comprador", "ddi", "telefone"),
         ("eduzz", "data.buyer", "phoneCountryCode", "cellphone"),
         ("lastlink", "Data.Buyer", "PhoneCountryCode", "PhoneNumber"),
         ("hotmart", "data.buyer", "phone_ddi", "checkout_phone")],
    )  # fmt: skip
    def test_a_phone_from_abroad_with_its_code_beside_it(
        self, gateway: str, place: str, code: str, number: str, tree: Tree, sale: Parse
    ) -> None:
        payload = put(
            put(tree(APPROVED[gateway]), f"{place}.{code}", "351"), f"{place}.{number}", "912345678"
        )
        if gateway == "hotmart":
            payload["data"]["buyer"]["checkout_phone_code"] = None
        assert clear_of(sale(gateway, payload, clear=True))["ph"] == "351912345678"

    @pytest.mark.parametrize(
        ("extension", "area", "number", "formatted", "phone"),
        [("55", "31", "983320001", None, "5531983320001"), ("351", None, "912345678", None, "351912345678"),
         ("1", "305", "5550123", None, "13055550123"), (None, "31", "983320001", None, "5531983320001"),
         (None, None, None, "+55(43) 99835-5104", "5543998355104")],
    )  # fmt: skip
    def test_perfectpays_phone_in_three_parts(
        self,
        extension: Any,
        area: Any,
        number: Any,
        formatted: Any,
        phone: str,
        tree: Tree,
        sale: Parse,
    ) -> None:
        payload = tree(APPROVED["perfectpay"])
        payload["customer"] |= {
            "phone_extension": extension, "phone_area_code": area, "phone_number": number,
            "phone_formated_ddi": formatted,
        }  # fmt: skip
        assert clear_of(sale("perfectpay", payload, clear=True))["ph"] == phone

    @pytest.mark.parametrize(
        ("gateway", "place", "ip", "agent"),
        [("perfectpay", "customer", "ip", "user_agent"), ("monetizze", "comprador", "ip", "user_agent"),
         ("kiwify", "Customer", "ip", "user_agent"), ("hotmart", "data.purchase", "buyer_ip", "user_agent"),
         ("kirvano", "customer", "ip_address", "userAgent"), ("cakto", "data.customer", "ip", "userAgent"),
         ("ticto", "query_params", "client_ip_address", "client_user_agent"),
         ("eduzz", "data.buyer", "ip", "userAgent"),
         ("lastlink", "Data.DeviceInfo", "Ip", "UserAgent"), ("braip", "meta", "ip", "user_agent")],
    )  # fmt: skip
    def test_the_buyers_address_and_browser_are_read(
        self, gateway: str, place: str, ip: str, agent: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway])
        if gateway == "lastlink":
            payload["Data"]["DeviceInfo"] = {}
        put(put(payload, f"{place}.{ip}", "2804:214:c003:ca1::1"), f"{place}.{agent}", BROWSER)
        found = sale(gateway, payload).client
        assert (found.ip, found.user_agent) == ("2804:214:c003:ca1::1", BROWSER)

    @pytest.mark.parametrize(
        ("written", "address"),
        [("200.147.3.12:51234", "200.147.3.12"), ("[2804:214::1]:443", "2804:214::1"), ("[2804:214::1]", "2804:214::1"),
         ("::ffff:200.147.3.12", "200.147.3.12"), (" 200.147.3.12 ", "200.147.3.12"),
         ("2804:0214::0001", "2804:214::1"),
         ("200.147.3.12, 10.0.0.1", "200.147.3.12"), ("10.0.0.1,200.147.3.12", "200.147.3.12"),
         ("unknown, 200.147.3.12:80", "200.147.3.12"), ("203.0.113.10", "203.0.113.10"), ("127.0.0.1", None),
         ("10.1.2.3", None), ("0.0.0.0", None), ("::1", None), ("fe80::1%eth0", None), ("00.00.00.00", None),
         ("200.147.3", None), ("", None), (None, None), ("x" * 500, None)],
    )  # fmt: skip
    def test_an_address_with_a_port_or_in_a_list(self, written: Any, address: str | None) -> None:
        assert _tracking.client(written).ip == address


class TestCampaigns:
    SPELLINGS = (
        {"utm_source": "fb", "utm_campaign": "c-1"},
        {"utmSource": "fb", "utmCampaign": "c-1"},
        {"UtmSource": "fb", "UtmCampaign": "c-1"},
        {"utm-source": "fb", "utm.campaign": "c-1"},
        {"utm": {"source": "fb", "campaign": "c-1"}},
        {"utm": {"utm_source": "fb", "utmCampaign": "c-1"}},
        {"tracker": {"utmSource": "fb", "campaign": "c-1"}},
        {"tracking": {"utm_source": "fb", "utm": {"campaign": "c-1"}}},
        {"trackingParameters": {"utmSource": "fb", "utm_campaign": "c-1"}},
    )
    PLACES = (
        ("hotmart", "data.purchase.origin"), ("kiwify", "TrackingParameters"), ("perfectpay", "metadata"),
        ("braip", "meta"),
        ("kirvano", "utm"), ("cakto", "data"), ("monetizze", "venda"), ("eduzz", "data"), ("ticto", "tracking"),
        ("lastlink", "Data.Utm"),
    )  # fmt: skip

    @pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
    @pytest.mark.parametrize(("gateway", "place"), PLACES)
    def test_a_campaign_is_read_in_every_spelling(
        self, gateway: str, place: str, spelling: dict[str, Any], tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway])
        for emptied in ("utm", "tracker", "tracking", "query_params", "checkoutUrl"):
            payload.pop(emptied, None)
            if isinstance(payload.get("data"), dict):
                payload["data"].pop(emptied, None)
        *above, last = place.split(".")
        target = payload
        for name in above:
            target = target.setdefault(name, {})
        kept = target.get(last) if last in ("data", "venda") else {}
        target[last] = {
            name: value for name, value in kept.items() if not name.startswith("utm")
        } | spelling
        found = sale(gateway, payload).tracking
        assert (found.utm_source, found.utm_campaign) == ("fb", "c-1")

    @pytest.mark.parametrize(
        ("gateway", "link"), [("kirvano", "checkout_url"), ("monetizze", "url_recuperacao")]
    )
    def test_the_link_of_the_checkout_is_read_at_last(
        self, gateway: str, link: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree(APPROVED[gateway]) | {
            link: "https://pay.example/x?utm_source=fb&fbclid=IwAR1&src=click-1"
        }
        payload.pop("utm", None)
        put(payload, "venda.src", "")
        found = sale(gateway, payload).tracking
        assert (found.utm_source, found.fbclid, found.click_id) == ("fb", "IwAR1", "click-1")

    def test_metas_ids_and_the_click_in_every_spelling(self) -> None:
        source = Node(
            {
                "clickId": "c-1",
                "fbClid": "IwAR1",
                "_Fbp": "fb.1.1700000000000.12",
                "externalId": "p-1",
            }
        )
        found = _tracking.read([source], trust=("click_id",))
        assert (found.click_id, found.fbclid, found.external_id) == ("c-1", "IwAR1", "p-1")
        assert found.fbp == "fb.1.1700000000000.12"

    def test_nesting_without_end_is_looked_into_a_little(self) -> None:
        deep: dict[str, Any] = {"utm_source": "fb"}
        for _ in range(5_000):
            deep = {"tracking": deep}
        assert _tracking.read([Node(deep)], trust=()).utm_source is None

    def test_the_first_spelling_that_says_something_counts(self) -> None:
        found = _tracking.read(
            [Node({"utm_source": "", "utmSource": "fb", "UTM_SOURCE": "ig"})], trust=()
        )
        assert found.utm_source == "fb"


class TestEduzzsOlderWebhook:
    CART: ClassVar[dict[str, Any]] = {
        "type": "abandonment",
        "identifier": "36ec1293-0000-4000-8000-000000000001",
        "cartAccessedAt": "2026-05-04T13:00:00.000Z",
        "checkoutUrl": "https://sun.eduzz.com/1?utm_source=fb&sck=click-1",
        "product[id]": "1",
        "product[title]": "Curso",
        "customer[name]": "Comprador Ficticio",
        "customer[phone]": "011900000000",
        "customer[email]": "comprador.teste@example.com",
        "producerId": "1",
        "origin_secret": "s3cret",
    }

    def shapes(self) -> list[bytes]:
        flat, dotted = (
            self.CART,
            {name.replace("[", ".").replace("]", ""): value for name, value in self.CART.items()},
        )
        nested = {name: value for name, value in flat.items() if "[" not in name}
        nested |= {"product": {"id": 1, "title": "Curso"}}
        nested |= {
            "customer": {key: flat[f"customer[{key}]"] for key in ("name", "phone", "email")}
        }
        return [
            urlencode(flat).encode(),
            *(json.dumps(shape).encode() for shape in (flat, dotted, nested)),
        ]

    def test_an_abandoned_cart_is_read_in_every_shape(self) -> None:
        for raw in self.shapes():
            (found,) = eduzz.parse(raw, clear=True)
            assert (found.status, found.order_id, found.occurred_at) == (
                "initiate_checkout",
                None,
                "2026-05-04T13:00:00Z",
            )
            assert [(product.id, product.name) for product in found.products] == [("1", "Curso")]
            assert clear_of(found) == {
                "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            }  # fmt: skip
            assert (found.tracking.utm_source, found.tracking.click_id) == ("fb", "click-1")
            assert not found.test and not uses_unknown_word(registry()["eduzz"], found)

    def test_the_cart_that_tries_a_url_has_no_key_and_is_one_test_for_ever(
        self, sale: Parse
    ) -> None:
        tried = self.CART | {"customer[email]": "emaildocliente@provedor.com"}
        del tried["origin_secret"]
        secret = {"secret": "s3cret"}
        assert eduzz.verify(json.dumps(tried).encode(), {}, {}, secret)
        assert sale("eduzz", tried).test
        assert (
            sale("eduzz", tried).event_key
            == sale("eduzz", tried | {"identifier": "another"}).event_key
        )
        assert not eduzz.verify(json.dumps(tried).encode(), {}, {}, {"secret": ""})
        assert not eduzz.verify(
            json.dumps(tried | {"origin_secret": "guess"}).encode(), {}, {}, secret
        )
        assert not eduzz.verify(
            json.dumps(tried | {"customer[email]": "ana@example.com"}).encode(), {}, {}, secret
        )
        assert not eduzz.verify(json.dumps(tried).encode(), {"x-signature": "00"}, {}, secret)

    def test_two_carts_are_two_facts_and_a_repeat_is_one(self, sale: Parse) -> None:
        key = sale("eduzz", self.CART).event_key
        assert (
            sale("eduzz", self.CART | {"checkoutUrl": "https://sun.eduzz.com/1"}).event_key == key
        )
        assert sale("eduzz", self.CART | {"identifier": "another"}).event_key != key

    @pytest.mark.parametrize("name", ["origin_secret", "origin", "api_key"])
    @pytest.mark.parametrize("kind", ["invoice", "cart"])
    def test_the_key_may_stand_in_each_of_its_fields(
        self, name: str, kind: str, tree: Tree
    ) -> None:
        payload = {
            field: value
            for field, value in (tree(OLD_EDUZZ) if kind == "invoice" else self.CART).items()
        }
        for field in ("origin_secret", "origin", "api_key"):
            payload.pop(field, None)
        proved, guessed = (
            json.dumps(payload | {name: key}).encode() for key in ("s3cret", "guess")
        )
        assert eduzz.verify(proved, {}, {}, {"secret": "s3cret"})
        assert not eduzz.verify(guessed, {}, {}, {"secret": "s3cret"})
        assert not eduzz.verify(json.dumps(payload).encode(), {}, {}, {"secret": "s3cret"})
        assert not eduzz.verify(proved, {"x-signature": "00"}, {}, {"secret": "s3cret"})

    def test_items_with_brackets_in_their_names(self, tree: Tree, sale: Parse) -> None:
        payload = tree(OLD_EDUZZ) | {
            "trans_items[0][item_product_id]": "7", "trans_items[0][item_product_name]": "Curso",
            "trans_items[0][item_value]": "57.00", "trans_items[1][item_product_id]": "8",
            "trans_items[1][item_value]": "40.00",
        }  # fmt: skip
        assert [(p.id, p.value) for p in sale("eduzz", payload).products] == [
            ("7", "57.00"),
            ("8", "40.00"),
        ]


def test_a_form_of_hotmart_writes_money_for_people(tree: Tree) -> None:
    fields = tree("hotmart/v1.0.0_form.approved.reconstructed.json") | {
        "price": "R$ 1.297,00",
        "currency": "",
    }
    (found,) = hotmart.parse(urlencode(fields).encode())
    assert (found.value, found.currency) == ("1297.00", "BRL")


def test_monetizzes_bumps_in_a_form(tree: Tree) -> None:
    payload = put(tree(APPROVED["monetizze"]), "venda.valor", "268.90")
    flat = {f"venda[{name}]": value for name, value in payload["venda"].items()} | {
        "tipoEvento[codigo]": "2"
    }
    for at, (product, price) in enumerate((("8", "199.00"), ("9", "69.90"))):
        flat |= {
            f"venda_item_order_bump[{at}][produto]": product,
            f"venda_item_order_bump[{at}][valor]": price,
        }
    (found,) = monetizze.parse(urlencode(flat).encode())
    assert [(product.id, product.value) for product in found.products] == [
        ("8", "199.00"),
        ("9", "69.90"),
    ]


def test_caktos_order_may_have_its_short_reference_alone(tree: Tree, sale: Parse) -> None:
    payload = tree(APPROVED["cakto"])
    del payload["data"]["id"]
    assert sale("cakto", payload).order_id == "FAKEREF"
