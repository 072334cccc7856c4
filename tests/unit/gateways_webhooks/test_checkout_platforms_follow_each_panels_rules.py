"""Kirvano, Cakto, Monetizze, Eduzz, Ticto, Lastlink: each status, each trap, and keys that tell
facts apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from sinal_hub.gateways import NotThisGateway, eduzz, monetizze, registry, ticto, uses_unknown_word
from sinal_hub.model.sale import Sale

Tree = Callable[[str], Any]
Parse = Callable[..., Sale]


def flattened(value: Any, prefix: str = "") -> dict[str, str]:
    """A tree as the nested names of a form."""
    if not isinstance(value, dict | list):
        return {prefix: "" if value is None else str(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: dict[str, str] = {}
    for name, below in items:
        found |= flattened(below, f"{prefix}[{name}]" if prefix else str(name))
    return found


class TestKirvano:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("PIX_GENERATED", "pending"), ("BANK_SLIP_GENERATED", "pending"), ("SALE_APPROVED", "approved"),
         ("SALE_REFUSED", "refused"), ("SALE_REFUNDED", "refunded"), ("SALE_CHARGEBACK", "chargeback"),
         ("PIX_EXPIRED", "expired"), ("SUBSCRIPTION_RENEWED", "subscription_renewed"),
         ("SUBSCRIPTION_CANCELED", "subscription_canceled"), ("SOMETHING_NEW", "ignored")],
    )  # fmt: skip
    def test_events(self, event: str, status: str, tree: Tree, sale: Parse) -> None:
        found = sale("kirvano", tree("kirvano/SALE_APPROVED.json") | {"event": event})
        assert (found.event, found.status, found.order_id) == (event, status, "D2RP8RQ7")
        assert uses_unknown_word(registry()["kirvano"], found) == (event == "SOMETHING_NEW")

    @pytest.mark.parametrize(
        ("written", "value"),
        [("R$ 169,80", "169.80"), ("R$ 1.169,80", "1169.80"), ("R$ 12.345.678,90", "12345678.90"), ("R$ 97", "97.00"),
         ("R$\u00a049,90", "49.90"), ("R$ 0,00", "0.00"), (169.8, "169.80"), ("169.80", "169.80"),
         ("grátis", None), ("R$ 1,2,3", None), ("R$ 1.16,80", None), (None, None)],
    )  # fmt: skip
    def test_prices_are_written_for_people(
        self, written: Any, value: str | None, tree: Tree, sale: Parse
    ) -> None:
        found = sale("kirvano", tree("kirvano/SALE_APPROVED.json") | {"total_price": written})
        assert (found.value, found.currency) == (value, None if value is None else "BRL")

    def test_bumps_stand_beside_the_product_and_in_the_total(self, tree: Tree, sale: Parse) -> None:
        found = sale("kirvano", tree("kirvano/SALE_APPROVED.json"))
        assert [(product.name, product.value) for product in found.products] == [
            ("Mercado de Ações no Brasil", "119.90"),
            ("Excel para Investidores", "49.90"),
        ]
        assert found.value == "169.80"

    def test_an_approval_happened_when_it_was_paid(self, tree: Tree, sale: Parse) -> None:
        assert (
            sale("kirvano", tree("kirvano/SALE_APPROVED.json")).occurred_at
            == "2025-02-25T21:42:17Z"
        )

    def test_utm_come_back(self, tree: Tree, sale: Parse) -> None:
        found = sale("kirvano", tree("kirvano/ABANDONED_CART.json")).tracking
        assert (found.src, found.utm_source, found.utm_medium) == ("google", "broadcast", "email")


class TestCakto:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("purchase_approved", "approved"), ("purchase_refused", "refused"), ("pix_gerado", "pending"),
         ("boleto_gerado", "pending"), ("checkout_abandonment", "initiate_checkout"), ("refund", "refunded"),
         ("chargeback", "chargeback"), ("subscription_created", "subscription_changed"),
         ("subscription_renewed", "subscription_renewed"), ("subscription_canceled", "subscription_canceled"),
         ("subscription_renewal_refused", "subscription_past_due"), ("brand_new", "ignored")],
    )  # fmt: skip
    def test_events(self, event: str, status: str, tree: Tree, sale: Parse) -> None:
        found = sale("cakto", tree("cakto/purchase_approved.shape.json") | {"event": event})
        assert (found.event, found.status, found.renewal) == (
            event,
            status,
            event == "subscription_renewed",
        )

    @pytest.mark.parametrize("kind", ["bump", "upsell"])
    def test_each_offer_is_an_order_that_names_its_parent(
        self, kind: str, tree: Tree, sale: Parse
    ) -> None:
        main = tree("cakto/purchase_approved.shape.json")
        other = tree("cakto/purchase_approved.shape.json")
        other["data"] |= {
            "id": "order-2",
            "offer_type": kind,
            "parent_order": "FAKEREF",
            "amount": 17.0,
        }
        first, second = sale("cakto", main), sale("cakto", other)
        assert (second.order_id, second.parent_order_id, second.value) == (
            "order-2",
            "FAKEREF",
            "17.00",
        )
        assert first.parent_order_id is None and first.event_key != second.event_key

    def test_tracking_is_the_query_of_the_checkout(self, tree: Tree, sale: Parse) -> None:
        payload = tree("cakto/purchase_approved.shape.json")
        payload["data"]["checkoutUrl"] = (
            "https://pay.cakto.com.br/x?sck=C1&src=C2&utm_campaign=A%7C1&fbclid=IwAR1&fbp=fb.1.1770000000000.12#top"
        )
        found = sale("cakto", payload).tracking
        assert (found.click_id, found.src, found.utm_campaign, found.fbclid) == (
            "C1",
            "C2",
            "A|1",
            "IwAR1",
        )
        assert found.fbp == "fb.1.1770000000000.12"

    def test_abandoned_checkouts_of_two_people_are_two_facts(self, tree: Tree, sale: Parse) -> None:
        cart = tree("cakto/purchase_approved.shape.json") | {"event": "checkout_abandonment"}
        del cart["data"]["id"], cart["data"]["customer"]
        cart["data"] |= {
            "customerEmail": "comprador.teste@example.com",
            "customerCellphone": "11900000000",
        }
        first = sale("cakto", cart)
        assert first.order_id is None and first.customer.em and first.customer.ph
        assert sale("cakto", cart).event_key == first.event_key
        cart["data"]["customerEmail"] = "outra@example.com"
        assert sale("cakto", cart).event_key != first.event_key


class TestMonetizze:
    @pytest.mark.parametrize(
        ("code", "status"),
        [(1, "pending"), (2, "approved"), (3, "canceled"), (4, "refunded"), (5, "chargeback"), (6, "completed"),
         (7, "initiate_checkout"), (98, "pending"), (99, "pending"), (101, "subscription_changed"),
         (102, "subscription_past_due"), (103, "subscription_canceled"), (106, "ignored"), (777, "ignored")],
    )  # fmt: skip
    def test_codes(self, code: int, status: str, tree: Tree, sale: Parse) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        payload["tipoEvento"]["codigo"] = code
        assert sale("monetizze", payload).status == status

    def test_a_form_with_nested_names_is_the_same_sale(self, tree: Tree) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        whole = urlencode(flattened(payload)).encode()
        with_json = urlencode(flattened(payload) | {"json": json.dumps(payload)}).encode()
        assert (
            monetizze.parse(whole)
            == monetizze.parse(with_json)
            == monetizze.parse(json.dumps(payload).encode())
        )

    def test_what_stands_beside_the_proved_json_is_not_read(self, tree: Tree) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        forged = flattened(payload) | {"venda[valor]": "1.00", "json": json.dumps(payload)}
        raw = urlencode(forged).encode()
        assert monetizze.parse(raw)[0].value == "1457.00"
        stolen = urlencode(
            {"chave_unica": "0" * 32, "json": json.dumps(payload | {"chave_unica": "guess"})}
        ).encode()
        assert not monetizze.verify(stolen, {}, {}, {"chaveUnica": "0" * 32})

    def test_an_abandonment_has_no_sale(self, tree: Tree, sale: Parse) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        payload["tipoEvento"] = {"codigo": 7, "descricao": "Abandono de Checkout"}
        del payload["venda"]["codigo"]
        first = sale("monetizze", payload)
        assert (first.status, first.order_id) == ("initiate_checkout", None)
        payload["comprador"]["email"] = "outra@example.com"
        assert sale("monetizze", payload).event_key != first.event_key

    def test_a_sale_without_its_code_is_refused(self, tree: Tree, sale: Parse) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        del payload["venda"]["codigo"]
        with pytest.raises(NotThisGateway, match=r"venda\.codigo"):
            sale("monetizze", payload)

    def test_producer_and_affiliate_get_copies_of_one_fact(self, tree: Tree, sale: Parse) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        key = sale("monetizze", payload).event_key
        payload["tipoPostback"] = {"codigo": 3, "descricao": "Afiliado"}
        assert sale("monetizze", payload).event_key == key

    @pytest.mark.parametrize(
        ("words", "method"),
        [("Cartão de crédito", "credit_card"), ("Boleto", "boleto"), ("Pix", "pix")],
    )
    def test_methods_in_portuguese(self, words: str, method: str, tree: Tree, sale: Parse) -> None:
        payload = tree("monetizze/2_finalizada.shape_from_official_example.json")
        payload["venda"]["formaPagamento"] = words
        assert sale("monetizze", payload).method == method


class TestEduzz:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("invoice_opened", "pending"), ("invoice_waiting_payment", "pending"), ("invoice_paid", "approved"),
         ("invoice_canceled", "canceled"), ("invoice_waiting_refund", "refund_requested"),
         ("invoice_refunded", "refunded"), ("invoice_chargeback", "chargeback"),
         ("cart_abandonment", "initiate_checkout"), ("invoice_something", "ignored")],
    )  # fmt: skip
    def test_events_of_v3(self, event: str, status: str, tree: Tree, sale: Parse) -> None:
        payload = tree("eduzz/v3.invoice_paid.reconstructed.json") | {"event": f"myeduzz.{event}"}
        assert sale("eduzz", payload).status == status

    @pytest.mark.parametrize(
        ("code", "status"),
        [(1, "pending"), (3, "approved"), (4, "canceled"), (6, "refund_requested"), (7, "refunded"),
         (9, "canceled"), (77, "ignored")],
    )  # fmt: skip
    def test_codes_of_the_older_webhook(
        self, code: int, status: str, tree: Tree, sale: Parse
    ) -> None:
        assert (
            sale("eduzz", tree("eduzz/old.paid.reconstructed.json") | {"trans_status": code}).status
            == status
        )

    def test_the_older_webhook_as_a_form(self, tree: Tree) -> None:
        payload = tree("eduzz/old.paid.reconstructed.json")
        assert eduzz.parse(urlencode(payload).encode()) == eduzz.parse(json.dumps(payload).encode())

    def test_value_is_the_price_and_not_what_the_card_adds(self, tree: Tree, sale: Parse) -> None:
        assert sale("eduzz", tree("eduzz/v3.invoice_paid.reconstructed.json")).value == "197.50"
        assert sale("eduzz", tree("eduzz/old.paid.reconstructed.json")).value == "97.00"

    def test_both_generations_of_one_fact_share_a_key(self, tree: Tree, sale: Parse) -> None:
        old = tree("eduzz/old.paid.reconstructed.json") | {"trans_cod": "90000001"}
        new = tree("eduzz/v3.invoice_paid.reconstructed.json")
        assert sale("eduzz", old).event_key == sale("eduzz", new).event_key

    @pytest.mark.parametrize(
        ("date", "time", "moment"),
        [("20260504", "10:02:00", "2026-05-04T13:02:00Z"), ("2026-05-04", "10:02:00", "2026-05-04T13:02:00Z"),
         ("2026-05-04 10:02:00", "10:02:00", "2026-05-04T13:02:00Z"), ("20260504", "", "2026-05-04T03:00:00Z")],
    )  # fmt: skip
    def test_dates_and_times_apart(
        self, date: str, time: str, moment: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("eduzz/old.paid.reconstructed.json") | {
            "trans_paiddate": date,
            "trans_paidtime": time,
        }
        assert sale("eduzz", payload).occurred_at == moment

    @pytest.mark.parametrize("data", [{}, {"message": "pong"}])
    def test_the_panels_ping_is_no_sale_and_no_drift(self, data: Any, sale: Parse) -> None:
        found = sale(
            "eduzz",
            {"id": "e1", "event": "ping", "data": data, "sentDate": "2026-05-04T13:01:35.000Z"},
        )
        assert (found.status, found.order_id) == ("ignored", None)
        assert not uses_unknown_word(registry()["eduzz"], found)

    def test_a_price_without_a_currency_beside_it(self, tree: Tree, sale: Parse) -> None:
        payload = tree("eduzz/v3.invoice_paid.reconstructed.json")
        payload["data"]["price"] = "197.50"
        assert (sale("eduzz", payload).value, sale("eduzz", payload).currency) == ("197.50", "BRL")

    def test_a_bump_of_its_own_names_the_main_sale(self, tree: Tree, sale: Parse) -> None:
        payload = tree("eduzz/v3.invoice_paid.reconstructed.json")
        payload["data"]["orderBump"] = {"has": True, "isMainSale": False, "mainSaleId": 90000000}
        assert sale("eduzz", payload).parent_order_id == "90000000"
        payload["data"]["orderBump"] = {"has": True, "isMainSale": True, "mainSaleId": 90000001}
        assert sale("eduzz", payload).parent_order_id is None

    @pytest.mark.parametrize(("number", "renewal"), [(1, False), ("2", True), (None, False)])
    def test_the_next_slip_of_a_sale_is_a_renewal(
        self, number: Any, renewal: bool, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("eduzz/v3.invoice_paid.reconstructed.json")
        payload["data"]["bankSlipInstallment"] = {
            "installmentNumber": number,
            "totalInstallments": 3,
        }
        assert sale("eduzz", payload).renewal == renewal

    def test_bumps_are_items(self, tree: Tree, sale: Parse) -> None:
        found = sale("eduzz", tree("eduzz/v3.invoice_paid.reconstructed.json"))
        assert [(p.id, p.value) for p in found.products] == [
            ("3000001", "150.00"),
            ("3000002", "47.50"),
        ]


class TestTicto:
    @pytest.mark.parametrize(
        ("word", "status"),
        [("waiting_payment", "pending"), ("pix_created", "pending"), ("bank_slip_created", "pending"),
         ("authorized", "approved"), ("refused", "refused"), ("pix_expired", "expired"),
         ("bank_slip_delayed", "overdue"), ("refunded", "refunded"), ("chargeback", "chargeback"),
         ("claimed", "refund_requested"), ("subscription_canceled", "subscription_canceled"),
         ("subscription_delayed", "subscription_past_due"), ("card_exchanged", "subscription_changed"),
         ("all_charges_paid", "subscription_changed"), ("word_of_tomorrow", "ignored")],
    )  # fmt: skip
    def test_statuses(self, word: str, status: str, tree: Tree, sale: Parse) -> None:
        found = sale("ticto", tree("ticto/authorized.reconstructed.json") | {"status": word})
        assert (found.event, found.status) == (word, status)

    @pytest.mark.parametrize("nothing", ["Não Informado", "não informado", " NÃO INFORMADO "])
    def test_nao_informado_is_nothing(self, nothing: str, tree: Tree, sale: Parse) -> None:
        payload = tree("ticto/authorized.reconstructed.json")
        payload["tracking"]["src"] = payload["customer"]["name"] = payload["payment_method"] = (
            nothing
        )
        found = sale("ticto", payload)
        assert (found.tracking.click_id, found.tracking.utm_medium) == ("FROM_URL", None)
        assert (found.customer.fn, found.method) == ([], None)

    def test_metas_ids_of_the_link(self, tree: Tree, sale: Parse) -> None:
        found = sale("ticto", tree("ticto/authorized.reconstructed.json")).tracking
        assert found.fbc == "fb.1.1770000000000.IwAR_FAKE"
        assert found.fbp == "fb.1.1770000000000.1234567890"

    @pytest.mark.parametrize(
        ("phone", "number"),
        [({"ddi": "+55", "ddd": "11", "number": "900000000"}, "5511900000000"),
         ({"ddi": "55", "ddd": "11", "number": "900000000"}, "5511900000000"),
         ({"ddi": "+55", "ddd": "11", "number": "11900000000"}, "5511900000000"),
         ({"ddi": "+351", "ddd": "", "number": "912345678"}, "351912345678")],
    )  # fmt: skip
    def test_a_phone_in_three_parts(self, phone: Any, number: str, tree: Tree, sale: Parse) -> None:
        payload = tree("ticto/authorized.reconstructed.json")
        payload["customer"]["phone"] = phone
        clear = sale("ticto", payload, clear=True).customer.clear
        assert isinstance(clear, dict) and clear["ph"] == number

    def test_a_bump_under_the_same_order_is_another_fact(self, tree: Tree, sale: Parse) -> None:
        payload = tree("ticto/authorized.reconstructed.json")
        key = sale("ticto", payload).event_key
        payload["item"]["product_id"] = 999
        assert sale("ticto", payload).event_key != key

    def test_a_sale_needs_its_order(self, tree: Tree) -> None:
        payload = tree("ticto/abandoned_cart.reconstructed.json") | {"status": "authorized"}
        with pytest.raises(NotThisGateway, match=r"order\.hash"):
            ticto.parse(json.dumps(payload).encode())


class TestLastlink:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("Abandoned_Cart", "initiate_checkout"), ("Purchase_Request_Confirmed", "pending"),
         ("Purchase_Order_Confirmed", "approved"), ("PURCHASE_ORDER_CONFIRMED", "approved"),
         ("Payment_Refund", "refunded"), ("Payment_Chargeback", "chargeback"),
         ("Subscription_Canceled", "subscription_canceled"), ("Recurrent_Payment", "approved"),
         ("Product_Access_Started", "ignored")],
    )  # fmt: skip
    def test_events(self, event: str, status: str, tree: Tree, sale: Parse) -> None:
        found = sale(
            "lastlink",
            tree("lastlink/Purchase_Order_Confirmed.reconstructed.json") | {"Event": event},
        )
        assert (found.status, found.renewal) == (status, event == "Recurrent_Payment")

    def test_the_buyers_browser(self, tree: Tree, sale: Parse) -> None:
        found = sale(
            "lastlink", tree("lastlink/Purchase_Order_Confirmed.reconstructed.json")
        ).client
        assert (found.ip, found.user_agent) == ("203.0.113.10", "Mozilla/5.0 (Ficticio)")

    def test_names_with_capitals_are_read_as_utm(self, tree: Tree, sale: Parse) -> None:
        found = sale(
            "lastlink", tree("lastlink/Purchase_Order_Confirmed.reconstructed.json")
        ).tracking
        assert (found.utm_source, found.utm_medium, found.utm_campaign) == ("FB", "cpc", "C1")

    def test_a_later_charge_is_a_renewal_and_a_test_is_a_test(
        self, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("lastlink/Purchase_Order_Confirmed.reconstructed.json") | {"IsTest": True}
        payload["Data"]["Purchase"]["Recurrency"] = 2
        found = sale("lastlink", payload)
        assert (found.renewal, found.test) == (True, True)
