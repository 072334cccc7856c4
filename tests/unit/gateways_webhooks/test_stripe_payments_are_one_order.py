"""Stripe tells of one payment by session, invoice, intent and charge: which is the sale, and whose
order it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sinal_hub.model.sale import Client, Sale

Parse = Callable[..., Sale]


def event(kind: str, thing: str, **fields: Any) -> dict[str, Any]:
    """One event of API 2026 about an object."""
    described = {
        "object": thing,
        "currency": "brl",
        "created": 1796030000,
        "livemode": True,
        "metadata": {},
    } | fields
    head = {
        "id": f"evt_{kind}",
        "object": "event",
        "created": 1796030000,
        "livemode": True,
        "type": kind,
    }
    return head | {"api_version": "2026-08-26.dahlia", "data": {"object": described}}


def invoice(
    kind: str = "invoice.paid", reason: str = "subscription_cycle", paid: int = 4990, **fields: Any
) -> Any:
    """A paid invoice of a subscription."""
    parent = {
        "type": "subscription_details",
        "subscription_details": {"subscription": "sub_1", "metadata": {}},
    }
    values = {
        "id": "in_1",
        "billing_reason": reason,
        "amount_paid": paid,
        "status": "paid",
        "parent": parent,
    } | fields
    return event(kind, "invoice", **values)


def intent(
    kind: str = "payment_intent.succeeded", reference: str | None = "in_1", **fields: Any
) -> Any:
    """A payment intent that names its order, as since API 2025-03-31."""
    details = {"customer_reference": None, "order_reference": reference}
    values = {
        "id": "pi_1",
        "amount": 4990,
        "amount_received": 4990,
        "payment_details": details,
    } | fields
    return event(kind, "payment_intent", **values)


def session(**fields: Any) -> Any:
    """A completed Checkout session of a subscription."""
    values = {
        "id": "cs_live_1",
        "mode": "subscription",
        "amount_total": 4990,
        "payment_status": "paid",
    }
    values |= {"invoice": "in_1", "subscription": "sub_1", "payment_intent": None}
    return event("checkout.session.completed", "checkout.session", **values | fields)


class TestOneOrder:
    @pytest.mark.parametrize("kind", ["succeeded", "payment_failed", "canceled", "created"])
    def test_an_intent_of_an_invoice_is_the_invoices_and_no_sale(
        self, kind: str, sale: Parse
    ) -> None:
        found = sale("stripe", intent(f"payment_intent.{kind}", description="Subscription update"))
        assert (found.status, found.order_id, found.names) == ("ignored", "in_1", ["pi_1"])

    @pytest.mark.parametrize("text", ["Subscription update", "Payment for Invoice"])
    @pytest.mark.parametrize("kind", ["succeeded", "payment_failed"])
    def test_an_intent_that_names_no_invoice_and_pays_one_is_no_sale(
        self, kind: str, text: str, sale: Parse
    ) -> None:
        assert (
            sale(
                "stripe", intent(f"payment_intent.{kind}", reference=None, description=text)
            ).status
            == "ignored"
        )
        own = sale(
            "stripe", intent("payment_intent.succeeded", reference=None, description="Curso")
        )
        assert (own.status, own.order_id) == ("approved", "pi_1")

    def test_the_first_intent_of_a_subscription_is_the_order_of_its_invoice(
        self, sale: Parse
    ) -> None:
        found = sale("stripe", intent(description="Subscription creation"))
        assert (found.status, found.order_id, found.names) == ("approved", "in_1", ["pi_1"])
        assert sale("stripe", session()).order_id == "in_1"

    def test_a_payment_of_an_invoice_says_which_intent_is_whose(self, sale: Parse) -> None:
        payment = {"type": "payment_intent", "payment_intent": "pi_1"}
        notice = event(
            "invoice_payment.paid", "invoice_payment", id="inpay_1", invoice="in_1", payment=payment
        )
        found = sale("stripe", notice)
        assert (found.status, found.order_id, found.names) == ("ignored", "in_1", ["pi_1"])
        notice["data"]["object"]["payment"] = {"type": "charge", "charge": "ch_1"}
        assert sale("stripe", notice).names == ["ch_1"]

    def test_a_charge_asks_for_the_order_of_its_intent(self, sale: Parse) -> None:
        charge = event(
            "charge.refunded",
            "charge",
            id="ch_1",
            payment_intent="pi_1",
            amount=4990,
            amount_refunded=4990,
        )
        found = sale("stripe", charge)
        assert (found.status, found.order_id, found.names) == ("refunded", "pi_1", [])

    def test_a_charge_of_before_2025_names_its_invoice(self, sale: Parse) -> None:
        fields = {
            "id": "ch_1",
            "payment_intent": "pi_1",
            "invoice": "in_1",
            "amount": 4990,
            "amount_refunded": 4990,
        }
        found = sale("stripe", event("charge.refunded", "charge", **fields))
        assert (found.order_id, found.names) == ("in_1", ["pi_1"])
        older = sale("stripe", invoice(payment_intent="pi_1"))
        assert (older.order_id, older.names) == ("in_1", ["pi_1"])

    def test_a_dispute_asks_for_the_order_of_its_intent(self, sale: Parse) -> None:
        dispute = event(
            "charge.dispute.created",
            "dispute",
            id="dp_1",
            charge="ch_1",
            payment_intent="pi_1",
            amount=1,
        )
        found = sale("stripe", dispute)
        assert (found.order_id, found.names) == ("pi_1", [])

    def test_a_session_with_an_invoice_and_an_intent_is_the_invoices(self, sale: Parse) -> None:
        found = sale(
            "stripe", session(mode="payment", payment_intent={"id": "pi_1"}, subscription=None)
        )
        assert (found.status, found.order_id, found.names) == ("approved", "in_1", ["pi_1"])

    @pytest.mark.parametrize("told", [event("charge.succeeded", "charge", id="ch_1"),
                                      event("customer.created", "customer", id="cus_1")])  # fmt: skip
    def test_an_event_that_joins_nothing_asks_nothing(self, told: Any, sale: Parse) -> None:
        assert sale("stripe", told).names is msgspec.UNSET


class TestDisputes:
    def dispute(self, kind: str, word: str) -> Any:
        return event(
            f"charge.dispute.{kind}",
            "dispute",
            id="dp_1",
            charge="ch_1",
            payment_intent="pi_1",
            amount=4990,
            status=word,
        )

    @pytest.mark.parametrize(
        ("kind", "word", "status"),
        [("created", "warning_needs_response", "refund_requested"), ("created", "needs_response", "chargeback"),
         ("funds_withdrawn", "under_review", "chargeback"), ("closed", "warning_closed", "chargeback_won"),
         ("closed", "won", "chargeback_won"), ("closed", "lost", "chargeback")],
    )  # fmt: skip
    def test_a_question_of_the_bank_is_not_a_chargeback(
        self, kind: str, word: str, status: str, sale: Parse
    ) -> None:
        assert sale("stripe", self.dispute(kind, word)).status == status

    def test_money_withdrawn_repeats_a_dispute_that_was_told(self, sale: Parse) -> None:
        told, withdrawn = (
            self.dispute(kind, "needs_response") for kind in ("created", "funds_withdrawn")
        )
        assert sale("stripe", told).event_key == sale("stripe", withdrawn).event_key


class TestNothingToPay:
    @pytest.mark.parametrize(
        ("word", "amount"), [("no_payment_required", 0), ("paid", 0), ("no_payment_required", None)]
    )
    def test_a_trial_is_no_purchase(self, word: str, amount: int | None, sale: Parse) -> None:
        found = sale("stripe", session(amount_total=amount, payment_status=word))
        assert (found.status, found.order_id, found.trial) == ("subscription_changed", None, True)
        assert found.subscription_id == "sub_1"

    def test_a_trial_of_a_form_of_ones_own_is_told_by_its_first_invoice(self, sale: Parse) -> None:
        found = sale("stripe", invoice(reason="subscription_create", paid=0))
        assert (found.status, found.trial, found.subscription_id) == (
            "subscription_changed",
            True,
            "sub_1",
        )

    def test_a_cycle_of_nothing_is_no_sale_and_begins_nothing(self, sale: Parse) -> None:
        found = sale("stripe", invoice(paid=0))
        assert (found.status, found.trial) == ("subscription_changed", msgspec.UNSET)

    def test_a_cycle_is_a_renewal_that_may_be_the_first_charge(self, sale: Parse) -> None:
        found = sale("stripe", invoice())
        assert (found.status, found.renewal, found.value, found.subscription_id) == (
            "approved",
            True,
            "49.90",
            "sub_1",
        )
        older = sale("stripe", invoice(parent=None, subscription="sub_1"))
        assert older.subscription_id == "sub_1"

    def test_a_free_order_without_a_subscription_is_the_funnels_choice(self, sale: Parse) -> None:
        free = session(
            mode="payment", amount_total=0, payment_status="no_payment_required", subscription=None
        )
        found = sale("stripe", free)
        assert (found.status, found.value, found.method) == ("approved", "0.00", "free")


class TestWhatWasSold:
    def test_a_discounted_line_costs_what_was_paid_for_it(self, sale: Parse) -> None:
        price = {"price_details": {"price": "price_1", "product": "prod_1"}}
        line = {
            "amount": 5990,
            "quantity": 1,
            "pricing": price,
            "discount_amounts": [{"amount": 1000}],
        }
        found = sale("stripe", invoice(lines={"data": [line]}))
        assert [(one.id, one.value) for one in found.products] == [("prod_1", "49.90")]

    def test_lines_are_no_more_than_the_invoice(self, sale: Parse) -> None:
        lines = [
            {"amount": amount, "quantity": 1, "price": {"product": f"p{amount}"}}
            for amount in (3000, 6000)
        ]
        found = sale("stripe", invoice(lines={"data": lines}))
        assert [one.value for one in found.products] == ["16.64", "33.26"]

    def test_a_card_at_a_terminal_was_shown_in_person(self, sale: Parse) -> None:
        note = {"user_agent": "Verifone", "ip": "177.10.20.30"}
        found = sale(
            "stripe", intent(reference=None, payment_method_types=["card_present"], metadata=note)
        )
        assert (found.in_person, found.client) == (True, Client())
        online = sale(
            "stripe",
            intent(reference=None, payment_method_types=["card_present", "card"], metadata=note),
        )
        assert (online.in_person, online.client.user_agent) == (msgspec.UNSET, "Verifone")

    @pytest.mark.parametrize(
        ("word", "status"), [("pending", "refund_requested"), ("requires_action", "refund_requested"),
                             ("succeeded", "refunded")]
    )  # fmt: skip
    def test_a_refund_that_has_not_gone_through_is_asked_for(
        self, word: str, status: str, sale: Parse
    ) -> None:
        refunds = {"data": [{"created": 2, "status": word}, {"created": 1, "status": "failed"}]}
        fields = {
            "id": "ch_1",
            "payment_intent": "pi_1",
            "amount": 4990,
            "amount_refunded": 4990,
            "refunds": refunds,
        }
        assert sale("stripe", event("charge.refunded", "charge", **fields)).status == status
