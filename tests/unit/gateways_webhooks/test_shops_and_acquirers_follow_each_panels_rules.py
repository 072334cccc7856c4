"""Shopify, Yampi, Cartpanda, PushinPay, SyncPay, PagBank, Mercado Pago: statuses, traps, and keys
of facts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sinal_hub.gateways import (
    NotThisGateway,
    mercadopago,
    pagbank,
    pushinpay,
    shopify,
    uses_unknown_word,
)
from sinal_hub.model.readback import MissingCredential, ReadBack
from sinal_hub.model.sale import Sale

ANSWERS = Path(__file__).parents[2] / "fixtures" / "readback"
Tree = Callable[[str], Any]
Parse = Callable[..., Sale]


def encoded(payload: Any) -> bytes:
    return json.dumps(payload).encode()


class TestShopify:
    @pytest.mark.parametrize(
        ("state", "cancelled", "status"),
        [("pending", None, "pending"), ("authorized", None, "pending"), ("paid", None, "approved"),
         ("paid", "2026-06-02T10:00:00-03:00", "canceled"), ("pending", "2026-06-02T10:00:00-03:00", "canceled"),
         ("refunded", "2026-06-02T10:00:00-03:00", "refunded"), ("partially_refunded", None, "partially_refunded"),
         ("voided", None, "canceled"), ("brand_new", None, "ignored")],
    )  # fmt: skip
    def test_an_order_tells_its_state_without_the_topic(
        self, state: str, cancelled: str | None, status: str, tree: Tree, sale: Parse
    ) -> None:
        changed = {"financial_status": state, "cancelled_at": cancelled}
        assert (
            sale("shopify", tree("shopify/orders_paid.reconstructed.json") | changed).status
            == status
        )

    def test_created_paid_and_updated_are_one_approval(self, tree: Tree, sale: Parse) -> None:
        order = tree("shopify/orders_paid.reconstructed.json")
        later = order | {"updated_at": "2026-06-09T10:00:00-03:00", "current_total_price": "219.80"}
        assert sale("shopify", order).event_key == sale("shopify", later).event_key
        assert sale("shopify", later).value == "319.80"

    def test_a_refund_is_a_resource_of_its_own(self, tree: Tree, sale: Parse) -> None:
        refund = tree("shopify/refunds_create.reconstructed.json")
        found, another = sale("shopify", refund), sale("shopify", refund | {"id": 2})
        assert (found.order_id, found.status) == ("820982911946154508", "refunded")
        assert (found.value, found.refunded_value, found.currency) == (None, "100.00", "BRL")
        assert found.event_key != another.event_key

    @pytest.mark.parametrize(
        ("transactions", "status", "refunded"),
        [([], "ignored", None),
         ([{"kind": "refund", "status": "failure", "amount": "100.00", "currency": "BRL"}], "ignored", None),
         ([{"kind": "sale", "status": "success", "amount": "100.00", "currency": "BRL"}], "ignored", None),
         ([{"kind": "refund", "status": "pending", "amount": "100.00", "currency": "BRL"}], "refund_requested", None),
         (None, "refunded", None)],
    )  # fmt: skip
    def test_items_taken_out_of_an_order_give_no_money_back(
        self, transactions: Any, status: str, refunded: str | None, tree: Tree, sale: Parse
    ) -> None:
        found = sale(
            "shopify",
            tree("shopify/refunds_create.reconstructed.json") | {"transactions": transactions},
        )
        assert (found.status, found.refunded_value or None) == (status, refunded)
        assert not uses_unknown_word(shopify, found)

    def test_several_products_with_the_value_of_their_lines(self, tree: Tree, sale: Parse) -> None:
        found = sale("shopify", tree("shopify/orders_paid.reconstructed.json"))
        assert [(p.id, p.offer_id, p.quantity, p.value) for p in found.products] == [
            ("632910392", "808950810", 2, "199.80"),
            ("632910393", "808950811", 1, "100.00"),
        ]

    def test_the_click_comes_from_the_cart_and_else_from_the_landing_page(
        self, tree: Tree, sale: Parse
    ) -> None:
        order = tree("shopify/orders_paid.reconstructed.json")
        found = sale("shopify", order).tracking
        assert (found.click_id, found.fbp) == ("CLICKID_FAKE", "fb.1.1770000000000.1234567890")
        assert (found.fbclid, found.utm_source) == ("IwAR_FAKE", "FB")
        order |= {"note_attributes": [], "landing_site": "/p?click_id=C2"}
        assert sale("shopify", order).tracking.click_id == "C2"

    def test_the_buyers_browser(self, tree: Tree, sale: Parse) -> None:
        found = sale("shopify", tree("shopify/orders_paid.reconstructed.json")).client
        assert (found.ip, found.user_agent) == ("203.0.113.11", "Mozilla/5.0 (Ficticio)")

    def test_a_test_order(self, tree: Tree, sale: Parse) -> None:
        assert sale("shopify", tree("shopify/orders_paid.reconstructed.json") | {"test": True}).test

    @pytest.mark.parametrize(
        "body", [b'{"id": 1, "title": "Camiseta", "variants": []}', b'{"order_id": 1}']
    )
    def test_other_resources_are_refused(self, body: bytes) -> None:
        with pytest.raises(NotThisGateway):
            shopify.parse(body)


class TestYampi:
    @pytest.mark.parametrize(
        ("event", "alias", "status"),
        [("order.created", "waiting_payment", "pending"), ("order.paid", "paid", "approved"),
         ("order.status.updated", "paid", "approved"), ("order.status.updated", "cancelled", "canceled"),
         ("order.status.updated", "refunded", "refunded"), ("order.status.updated", "refused", "refused"),
         ("order.status.updated", "delivered", "ignored"), ("order.new.event", "paid", "ignored")],
    )  # fmt: skip
    def test_events_and_the_orders_own_status(
        self, event: str, alias: str, status: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("yampi/order.paid.reconstructed.json") | {"event": event}
        payload["resource"]["status"]["data"]["alias"] = alias
        assert sale("yampi", payload).status == status

    def test_paid_and_updated_to_paid_are_one_fact(self, tree: Tree, sale: Parse) -> None:
        paid = tree("yampi/order.paid.reconstructed.json")
        assert (
            sale("yampi", paid).event_key
            == sale("yampi", paid | {"event": "order.status.updated"}).event_key
        )

    def test_value_is_the_total_without_the_cards_interest(self, tree: Tree, sale: Parse) -> None:
        assert sale("yampi", tree("yampi/order.paid.reconstructed.json")).value == "136.29"

    def test_ip_and_metadata(self, tree: Tree, sale: Parse) -> None:
        payload = tree("yampi/order.paid.reconstructed.json")
        del payload["resource"]["ip"]
        found = sale("yampi", payload)
        assert (found.client.ip, found.tracking.click_id) == ("203.0.113.12", "CLICKID_FAKE")


class TestCartpanda:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("order.created", "pending"), ("order.paid", "approved"), ("order.refunded", "refunded"),
         ("order.cancelled", "canceled"), ("order.updated", "ignored")],
    )  # fmt: skip
    def test_events(self, event: str, status: str, tree: Tree, sale: Parse) -> None:
        found = sale(
            "cartpanda", tree("cartpanda/order.paid.reconstructed.json") | {"event": event}
        )
        assert (found.status, found.value, found.currency) == (status, "49.90", "USD")

    def test_parameters_by_name(self, tree: Tree, sale: Parse) -> None:
        found = sale("cartpanda", tree("cartpanda/order.paid.reconstructed.json"))
        assert (found.tracking.utm_source, found.tracking.external_id) == ("FB", "visitor-1")
        assert found.tracking.fbp == "fb.1.1770000000000.1234567890"
        assert (found.client.ip, found.client.user_agent) == (
            "203.0.113.13",
            "Mozilla/5.0 (Ficticio)",
        )


class TestPushinPay:
    @pytest.mark.parametrize(
        ("word", "status"),
        [("created", "pending"), ("paid", "approved"), ("expired", "expired"), ("canceled", "canceled"),
         ("weird", "ignored")],
    )  # fmt: skip
    def test_statuses_as_json_and_as_a_form(
        self, word: str, status: str, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("pushinpay/paid.shape.json") | {"status": word}
        (form,) = pushinpay.parse(urlencode(payload).encode(), now=0.0)
        assert (form.status, form.value) == (status, "35.00")
        assert sale("pushinpay", payload, now=0.0) == form

    def test_the_ids_case_means_nothing(self, tree: Tree, sale: Parse) -> None:
        payload = tree("pushinpay/paid.shape.json")
        upper = payload | {"id": payload["id"].upper()}
        assert sale("pushinpay", upper, now=0.0) == sale("pushinpay", payload, now=0.0)


class TestSyncPay:
    @pytest.mark.parametrize(
        ("word", "status"),
        [("pending", "pending"), ("completed", "approved"), ("failed", "refused"), ("refunded", "refunded"),
         ("med", "chargeback"), ("new_word", "ignored")],
    )  # fmt: skip
    @pytest.mark.parametrize("wrapped", [True, False])
    def test_statuses_of_the_new_api(
        self, word: str, status: str, wrapped: bool, tree: Tree, sale: Parse
    ) -> None:
        data = tree("syncpay/new_api.completed.shape.json")["data"] | {"status": word}
        found = sale("syncpay", {"data": data} if wrapped else data)
        assert (found.event, found.status, found.value) == (word, status, "97.00")

    @pytest.mark.parametrize(
        ("word", "status"), [("WAITING_FOR_APPROVAL", "pending"), ("PAID_OUT", "approved")]
    )
    @pytest.mark.parametrize("wrapped", [True, False])
    def test_statuses_of_the_old_api(
        self, word: str, status: str, wrapped: bool, tree: Tree, sale: Parse
    ) -> None:
        data = tree("syncpay/old_api.PAID_OUT.shape.json")["data"] | {"status": word}
        found = sale("syncpay", {"data": data} if wrapped else data)
        assert (found.status, found.order_id, found.tracking.click_id) == (
            status,
            "00000000",
            "ref-1",
        )

    def test_a_wrapped_notice_needs_no_buyer(self, sale: Parse) -> None:
        data = {"id": "u-1", "status": "completed", "amount": "97.00", "currency": "BRL"}
        found = sale("syncpay", {"data": data})
        assert (found.status, found.order_id, found.value) == ("approved", "u-1", "97.00")

    def test_the_old_id_in_its_other_spelling(self, tree: Tree, sale: Parse) -> None:
        data = tree("syncpay/old_api.PAID_OUT.shape.json")["data"]
        data["idTransaction"] = data.pop("idtransaction")
        assert sale("syncpay", data).order_id == "00000000"

    def test_money_that_leaves_is_no_sale(self, tree: Tree, sale: Parse) -> None:
        payload = tree("syncpay/new_api.completed.shape.json")
        payload["data"]["pix_key"] = "00000000000"
        found = sale("syncpay", payload)
        assert (found.status, found.customer.em) == ("ignored", [])


class TestPagBank:
    def order(self, tree: Tree, *charges: tuple[str, int, int, int]) -> Any:
        """Charges as status, cents, paid cents, refunded cents."""
        payload = tree("pagbank/order_paid.reconstructed.json")
        payload["charges"] = [
            {"id": f"CHAR_{number}", "status": status, "created_at": "2026-09-01T09:00:10.000-03:00",
             "amount": {"value": cents, "currency": "BRL", "summary": {"paid": paid, "refunded": refunded}}}
            for number, (status, cents, paid, refunded) in enumerate(charges)
        ]  # fmt: skip
        return payload

    @pytest.mark.parametrize(
        ("status", "paid", "refunded", "expected"),
        [("WAITING", 0, 0, "pending"), ("IN_ANALYSIS", 0, 0, "pending"), ("AUTHORIZED", 0, 0, "pending"),
         ("PAID", 5000, 0, "approved"), ("DECLINED", 0, 0, "refused"), ("CANCELED", 0, 0, "canceled"),
         ("CANCELED", 5000, 5000, "refunded"), ("PAID", 5000, 1000, "partially_refunded"), ("NEW", 0, 0, "ignored")],
    )  # fmt: skip
    def test_charges(
        self, status: str, paid: int, refunded: int, expected: str, tree: Tree, sale: Parse
    ) -> None:
        found = sale("pagbank", self.order(tree, (status, 5000, paid, refunded)))
        assert (found.status, found.value) == (expected, "50.00")

    def test_a_refused_card_before_a_paid_one_is_no_refusal(self, tree: Tree, sale: Parse) -> None:
        found = sale("pagbank", self.order(tree, ("DECLINED", 9000, 0, 0), ("PAID", 5000, 5000, 0)))
        assert (found.status, found.value) == ("approved", "50.00")

    def test_two_cards_pay_one_order(self, tree: Tree, sale: Parse) -> None:
        assert (
            sale(
                "pagbank", self.order(tree, ("PAID", 5000, 5000, 0), ("PAID", 2550, 2550, 0))
            ).value
            == "75.50"
        )

    def test_an_order_that_waits_for_its_pix(self, tree: Tree, sale: Parse) -> None:
        payload = self.order(tree)
        payload["qr_codes"] = [{"id": "QRCO_1", "amount": {"value": 5000}}]
        found = sale("pagbank", payload)
        assert (found.status, found.value, found.method) == ("pending", "50.00", "pix")

    def test_an_older_notice_names_the_call_and_no_credential(
        self, body: Callable[[str], bytes]
    ) -> None:
        raw = body("pagbank/old.notice.reconstructed.form.txt")
        call = pagbank.readback(raw, {}, {})
        assert call == ReadBack(
            path="/v3/transactions/notifications/766B9C-AD4B044B04DA-77742F5FA653-E1AB24",
            query={"email": "{email}", "token": "{token}"},
        )
        filled = call.filled({"email": "loja@example.com", "token": "old\nnew\n"})
        assert filled == ({}, {"email": "loja@example.com", "token": "new"})
        with pytest.raises(MissingCredential, match="email"):
            call.filled({"token": "t"})

    def test_a_signed_order_needs_no_call(self, body: Callable[[str], bytes]) -> None:
        assert pagbank.readback(body("pagbank/order_paid.reconstructed.json"), {}, {}) is None

    @pytest.mark.parametrize("code", ["../../v2/sessions", "x" * 65, "a b", "766B9C%2F..", ""])
    def test_a_code_cannot_lead_elsewhere(self, code: str) -> None:
        assert pagbank.readback(urlencode({"notificationCode": code}).encode(), {}, {}) is None

    @pytest.mark.parametrize(
        ("number", "status"),
        [(1, "pending"), (2, "pending"), (3, "approved"), (4, "completed"), (5, "refund_requested"), (6, "refunded"),
         (7, "canceled"), (8, "chargeback"), (99, "ignored")],
    )  # fmt: skip
    def test_the_older_answer(self, number: int, status: str) -> None:
        raw = (ANSWERS / "pagbank" / "transaction.paid.reconstructed.xml").read_bytes()
        (found,) = pagbank.parse_readback(raw.replace(b"<status>3<", f"<status>{number}<".encode()))
        assert (found.status, found.order_id) == (status, "9E884542-81B3-4419-9A75-BCC6FB495EF1")
        assert (found.value, found.method, found.tracking.click_id) == (
            "97.00",
            "pix",
            "CLICKID_FAKE",
        )
        assert found.occurred_at == (
            "2026-09-01T12:00:00Z" if status == "pending" else "2026-09-01T12:05:00Z"
        )

    @pytest.mark.parametrize(
        "raw",
        [b"", b"<html/>", b"<transaction>", b"{}", b"<transaction><code>1</code></transaction>",
         b'<!DOCTYPE t [<!ENTITY a "aaaa">]><transaction><code>&a;</code><status>3</status></transaction>',
         b"<a>" * 500 + b"</a>" * 500, b"<?xml version='1.0' encoding='unknown-8'?><transaction/>"],
    )  # fmt: skip
    def test_what_is_no_transaction_is_refused(self, raw: bytes) -> None:
        with pytest.raises(NotThisGateway):
            pagbank.parse_readback(raw)


class TestMercadoPago:
    @pytest.fixture
    def payment(self) -> Any:
        return json.loads(
            (ANSWERS / "mercadopago" / "payment.approved.reconstructed.json").read_text()
        )

    @pytest.mark.parametrize(
        ("word", "detail", "status"),
        [("pending", "pending_waiting_transfer", "pending"), ("in_process", "pending_contingency", "pending"),
         ("approved", "accredited", "approved"), ("approved", "partially_refunded", "partially_refunded"),
         ("rejected", "cc_rejected_other_reason", "refused"), ("cancelled", "by_collector", "canceled"),
         ("cancelled", "expired", "expired"), ("refunded", "refunded", "refunded"),
         ("charged_back", "settled", "chargeback"), ("charged_back", "reimbursed", "chargeback_won"),
         ("new_word", "", "ignored")],
    )  # fmt: skip
    def test_statuses_of_a_payment(self, word: str, detail: str, status: str, payment: Any) -> None:
        (found,) = mercadopago.parse_readback(
            encoded(payment | {"status": word, "status_detail": detail})
        )
        assert (found.status, found.order_id, found.value) == (status, "1320000001", "97.50")

    def test_what_a_payment_tells(self, payment: Any) -> None:
        (found,) = mercadopago.parse_readback(encoded(payment))
        assert (found.method, found.installments, found.occurred_at) == (
            "credit_card",
            6,
            "2026-08-01T11:59:30Z",
        )
        assert (found.tracking.click_id, found.client.ip, found.test) == (
            "CLICKID_FAKE",
            "203.0.113.14",
            False,
        )
        assert found.customer.em and found.customer.ph and found.customer.zp
        payment["metadata"], payment["external_reference"] = {}, "click-2"
        assert mercadopago.parse_readback(encoded(payment))[0].tracking.click_id == "click-2"

    @pytest.mark.parametrize(
        ("means", "kind", "method"),
        [("pix", "bank_transfer", "pix"), ("bolbradesco", "ticket", "boleto"), ("visa", "credit_card", "credit_card"),
         ("account_money", "account_money", "wallet"), ("debvisa", "debit_card", "other")],
    )  # fmt: skip
    def test_methods(self, means: str, kind: str, method: str, payment: Any) -> None:
        changed = payment | {"payment_method_id": means, "payment_type_id": kind}
        assert mercadopago.parse_readback(encoded(changed))[0].method == method

    def test_a_payment_in_a_body_is_never_believed(self, payment: Any) -> None:
        with pytest.raises(NotThisGateway):
            mercadopago.parse(encoded(payment))

    def test_the_id_that_is_signed_is_the_one_that_is_read(
        self, body: Callable[[str], bytes]
    ) -> None:
        raw = body("mercadopago/payment.updated.reconstructed.json")
        call = mercadopago.readback(raw, {}, {"data.id": "777"})
        assert call == ReadBack(
            path="/v1/payments/777", headers={"Authorization": "Bearer {accessToken}"}
        )
        own = mercadopago.readback(raw, {}, {})
        assert own is not None and own.path == "/v1/payments/1320000001"

    @pytest.mark.parametrize(
        "subject", ["1/../../users/me", "1?access_token=x", "abc", "9" * 21, "１２３"]
    )
    def test_an_id_cannot_lead_elsewhere(self, subject: str, body: Callable[[str], bytes]) -> None:
        raw = body("mercadopago/payment.updated.reconstructed.json")
        assert mercadopago.readback(raw, {}, {"data.id": subject}) is None

    def test_other_topics_need_no_call(self, tree: Tree) -> None:
        notice = tree("mercadopago/payment.updated.reconstructed.json") | {"type": "merchant_order"}
        assert mercadopago.readback(encoded(notice), {}, {}) is None

    def test_two_notices_of_one_payment_are_two_and_a_repeat_is_one(
        self, tree: Tree, sale: Parse
    ) -> None:
        notice = tree("mercadopago/payment.updated.reconstructed.json")
        first = sale("mercadopago", notice)
        assert sale("mercadopago", notice).event_key == first.event_key
        assert sale("mercadopago", notice | {"id": 113000002}).event_key != first.event_key
