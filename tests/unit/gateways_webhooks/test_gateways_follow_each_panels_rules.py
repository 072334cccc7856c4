"""What the captured deliveries do not show: every status, the traps of each gateway, and keys that
tell facts apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from sinal_hub.gateways import (
    NotThisGateway,
    appmax,
    braip,
    hotmart,
    perfectpay,
    registry,
    uses_unknown_word,
)
from sinal_hub.model.sale import Sale

Tree = Callable[[str], Any]
Parse = Callable[..., Sale]


def encoded(payload: Any) -> bytes:
    return json.dumps(payload).encode()


class TestHotmart:
    @pytest.fixture
    def approved(self, tree: Tree) -> Any:
        return tree("hotmart/PURCHASE_APPROVED.pix.json")

    def test_trust_is_xcod_then_sck_then_src(self, approved: Any, sale: Parse) -> None:
        origin = approved["data"]["purchase"]["origin"] = {"src": "C", "sck": "B", "xcod": "A"}
        assert sale("hotmart", approved).tracking.click_id == "A"
        del origin["xcod"]
        assert sale("hotmart", approved).tracking.click_id == "B"
        origin["sck"] = ""
        assert sale("hotmart", approved).tracking.click_id == "C"

    @pytest.mark.parametrize(
        "slot", ["ADS-FB-ig|PE-VSL_NOVA|x", "HOTMART_PRODUCT_PAGE", "a" * 37, "com espaço", "é"]
    )
    def test_what_is_no_click_id_leaves_the_next_slot(
        self, slot: str, approved: Any, sale: Parse
    ) -> None:
        approved["data"]["purchase"]["origin"] = {"sck": slot, "src": "click-1"}
        found = sale("hotmart", approved).tracking
        assert (found.click_id, found.sck, found.src) == ("click-1", slot, "click-1")

    def test_price_in_several_instalments_is_never_the_one_with_interest(
        self, approved: Any, sale: Parse
    ) -> None:
        purchase = approved["data"]["purchase"]
        del purchase["price"]
        assert sale("hotmart", approved).value == "1497.00"
        purchase["payment"]["installments_number"] = 12
        assert sale("hotmart", approved).value is None

    @pytest.mark.parametrize(
        ("value", "currency", "expected"),
        [(297, "BRL", "297.00"), (19.9, "BRL", "19.90"), ("0.1", "usd", "0.10"), (1500, "JPY", "1500"),
         (0, "BRL", "0.00"), (1.234, "KWD", "1.234"), (0.1 + 0.2, "BRL", "0.30")],
    )  # fmt: skip
    def test_money(
        self, value: Any, currency: str, expected: str, approved: Any, sale: Parse
    ) -> None:
        approved["data"]["purchase"]["price"] = {"value": value, "currency_value": currency}
        found = sale("hotmart", approved)
        assert (found.value, found.currency, found.products[0].value) == (
            expected,
            currency.upper(),
            expected,
        )

    def test_amounts_keep_their_digits(self, approved: Any) -> None:
        text = encoded(approved).replace(b'"value": 1497', b'"value": 1234567890.15')
        assert hotmart.parse(text)[0].value == "1234567890.15"

    def test_canceled_without_a_reason_is_no_refusal(self, tree: Tree, sale: Parse) -> None:
        payload = tree("hotmart/PURCHASE_CANCELED.card_refused.json")
        del payload["data"]["purchase"]["payment"]["refusal_reason"]
        assert sale("hotmart", payload).status == "canceled"

    def test_phone_without_its_area_code(self, approved: Any, sale: Parse) -> None:
        whole = sale("hotmart", approved).customer.ph
        approved["data"]["buyer"]["checkout_phone"] = "900000000"
        assert sale("hotmart", approved).customer.ph == whole

    def test_buyer_abroad(self, approved: Any, sale: Parse) -> None:
        approved["data"]["buyer"].update(
            checkout_phone_code=None, checkout_phone="912345678", address={"country_iso": "PT"}
        )
        portuguese = sale("hotmart", approved, clear=True).customer.clear
        assert isinstance(portuguese, dict)
        assert (portuguese["ph"], portuguese["country"]) == ("351912345678", "pt")

    def test_a_bump_points_to_its_parent(self, approved: Any, sale: Parse) -> None:
        bump = {"is_order_bump": True, "parent_purchase_transaction": "HP1"}
        approved["data"]["purchase"]["order_bump"] = bump
        assert sale("hotmart", approved).parent_order_id == "HP1"

    def test_a_new_event_is_ignored_and_counts_as_drift(self, approved: Any, sale: Parse) -> None:
        approved["event"] = "PURCHASE_SOMETHING_NEW"
        found = sale("hotmart", approved)
        assert (found.status, found.order_id) == ("ignored", "HP0000000001")
        assert uses_unknown_word(registry()["hotmart"], found)

    def test_what_means_nothing_is_no_drift(self, tree: Tree, sale: Parse) -> None:
        assert not uses_unknown_word(
            registry()["hotmart"], sale("hotmart", tree("hotmart/CLUB_FIRST_ACCESS.json"))
        )

    @pytest.mark.parametrize(
        ("word", "status"),
        [("billet_printed", "pending"), ("wayting_payment", "pending"), ("waiting_payment", "pending"),
         ("approved", "approved"), ("completed", "completed"), ("canceled", "canceled"), ("refunded", "refunded"),
         ("chargeback", "chargeback"), ("dispute", "refund_requested"), ("expired", "expired"), ("delayed", "overdue"),
         ("brand_new", "ignored")],
    )  # fmt: skip
    def test_form_of_version_1(self, word: str, status: str, tree: Tree) -> None:
        fields = tree("hotmart/v1.0.0_form.approved.reconstructed.json") | {
            "status": word,
            "xcod": "click-1",
        }
        (found,) = hotmart.parse(urlencode(fields).encode())
        assert (found.status, found.tracking.click_id) == (status, "click-1")

    def test_both_versions_of_one_fact_share_a_key(
        self, approved: Any, tree: Tree, sale: Parse
    ) -> None:
        approved["data"]["purchase"]["transaction"] = "HP00000000000001"
        form = tree("hotmart/v1.0.0_form.approved.reconstructed.json")
        assert sale("hotmart", form).event_key == sale("hotmart", approved).event_key

    def test_a_retry_with_another_event_id_is_the_same_fact(
        self, approved: Any, sale: Parse
    ) -> None:
        key = sale("hotmart", approved).event_key
        assert (
            sale("hotmart", approved | {"id": "another", "creation_date": 1746883774999}).event_key
            == key
        )

    def test_carts_of_two_people_are_two_facts(self, tree: Tree, sale: Parse) -> None:
        cart = tree("hotmart/PURCHASE_OUT_OF_SHOPPING_CART.json")
        key = sale("hotmart", cart).event_key
        assert sale("hotmart", cart).event_key == key
        cart["data"]["buyer"]["email"] = "outra@example.com"
        assert sale("hotmart", cart).event_key != key


class TestKiwify:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("billet_created", "pending"), ("pix_created", "pending"), ("order_rejected", "refused"),
         ("order_approved", "approved"), ("order_refunded", "refunded"), ("chargeback", "chargeback"),
         ("subscription_canceled", "subscription_canceled"), ("subscription_late", "subscription_past_due"),
         ("subscription_renewed", "subscription_renewed"), ("new_event", "ignored")],
    )  # fmt: skip
    def test_events(self, event: str, status: str, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/order_approved.real_shape.reconstructed.json") | {
            "webhook_event_type": event
        }
        found = sale("kiwify", payload)
        assert (found.event, found.status, found.renewal) == (
            event,
            status,
            event == "subscription_renewed",
        )

    def test_the_order_status_speaks_where_no_event_does(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/order_approved.real_shape.reconstructed.json")
        del payload["webhook_event_type"]
        assert sale("kiwify", payload | {"order_status": "chargedback"}).status == "chargeback"

    def test_an_approval_after_earlier_charges_is_a_renewal(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/order_approved.real_shape.reconstructed.json")
        charges = payload["Subscription"]["charges"]["completed"]
        assert not sale("kiwify", payload).renewal
        charges.append({**charges[0], "order_id": "earlier"})
        assert sale("kiwify", payload).renewal

    def test_base_price_stands_in_for_the_charge(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/pix_created.reconstructed.json")
        payload["Commissions"]["charge_amount"] = None
        payload["Commissions"]["product_base_price"] = "4990"
        assert sale("kiwify", payload).value == "49.90"

    def test_a_tracking_value_may_be_a_list(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/pix_created.reconstructed.json")
        payload["TrackingParameters"] |= {"sck": ["click-1", "click-2"], "utm_source": []}
        found = sale("kiwify", payload).tracking
        assert (found.click_id, found.utm_source, found.utm_campaign) == (
            "click-1",
            None,
            "Campanha|123",
        )

    def test_the_test_buttons_buyer(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/order_approved.wrapped_real_capture.json")
        payload["order"]["Customer"]["email"] = "johndoe@example.com"
        assert sale("kiwify", payload).test

    def test_a_wrapped_cart(self, tree: Tree, sale: Parse) -> None:
        cart = tree("kiwify/carrinho_abandonado.test_button.json") | {"product_name": "Curso"}
        found = sale("kiwify", {"cart": cart})
        assert (found.status, found.order_id, found.test) == (
            "initiate_checkout",
            "y4ml7pch72nuf1h9pb",
            False,
        )

    def test_ip_of_the_buyer(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/pix_created.reconstructed.json")
        assert sale("kiwify", payload).client.ip == "203.0.113.10"
        payload["Customer"]["ip"] = "not an address"
        assert sale("kiwify", payload).client.ip is None

    def test_brazilian_summer_time_of_2018(self, tree: Tree, sale: Parse) -> None:
        payload = tree("kiwify/pix_created.reconstructed.json") | {"updated_at": "2018-12-01 10:00"}
        assert sale("kiwify", payload).occurred_at == "2018-12-01T12:00:00Z"


class TestStripe:
    @pytest.fixture
    def event(self, tree: Tree) -> Any:
        found = tree("stripe/checkout.session.async_payment_succeeded.reconstructed.json") | {
            "livemode": True
        }
        return found | {"type": "checkout.session.completed"}

    def thing(self, kind: str, **fields: Any) -> dict[str, Any]:
        event = {
            "id": "evt_1",
            "object": "event",
            "type": kind,
            "created": 1785000000,
            "livemode": True,
        }
        return event | {"data": {"object": fields}}

    @pytest.mark.parametrize(
        ("kind", "payment", "mode", "status"),
        [("completed", "paid", "payment", "approved"), ("completed", "unpaid", "payment", "pending"),
         ("completed", "no_payment_required", "subscription", "approved"), ("completed", "paid", "setup", "ignored"),
         ("async_payment_succeeded", "paid", "payment", "approved"),
         ("async_payment_failed", "unpaid", "payment", "canceled"), ("expired", "unpaid", "payment", "expired")],
    )  # fmt: skip
    def test_sessions(
        self, kind: str, payment: str, mode: str, status: str, event: Any, sale: Parse
    ) -> None:
        event["type"] = f"checkout.session.{kind}"
        event["data"]["object"] |= {"payment_status": payment, "mode": mode}
        assert sale("stripe", event).status == status

    def test_a_paid_session_and_its_later_payment_are_one_fact(
        self, event: Any, sale: Parse
    ) -> None:
        paid_later = event | {"type": "checkout.session.async_payment_succeeded", "id": "evt_other"}
        assert sale("stripe", event).event_key == sale("stripe", paid_later).event_key

    @pytest.mark.parametrize(
        ("amount", "currency", "value"),
        [
            (9700, "brl", "97.00"),
            (1500, "jpy", "1500"),
            (1234, "kwd", "1.234"),
            (500, "ugx", "5"),
            (0, "usd", "0.00"),
        ],
    )
    def test_minor_units(
        self, amount: int, currency: str, value: str, event: Any, sale: Parse
    ) -> None:
        event["data"]["object"] |= {"amount_total": amount, "currency": currency}
        found = sale("stripe", event)
        assert (found.value, found.currency, found.test) == (value, currency.upper(), False)

    def test_click_id_of_metadata_where_the_reference_is_someone_elses(
        self, event: Any, sale: Parse
    ) -> None:
        event["data"]["object"] |= {
            "client_reference_id": "user 42",
            "metadata": {"click_id": "c-1", "utm_source": "fb"},
        }
        found = sale("stripe", event).tracking
        assert (found.click_id, found.utm_source) == ("c-1", "fb")

    def test_purchase_refund_and_dispute_meet_on_one_order(self, event: Any, sale: Parse) -> None:
        charge = self.thing(
            "charge.refunded", object="charge", id="ch_1", payment_intent="pi_FAKE", amount=9700, currency="brl",
            amount_refunded=9700,
        )  # fmt: skip
        dispute = self.thing(
            "charge.dispute.created", object="dispute", id="dp_1", charge="ch_1", payment_intent="pi_FAKE", amount=9700,
            currency="brl", status="needs_response",
        )  # fmt: skip
        found = [sale("stripe", payload) for payload in (event, charge, dispute)]
        assert [one.status for one in found] == ["approved", "refunded", "chargeback"]
        assert {one.order_id for one in found} == {"pi_FAKE"}

    def test_each_partial_refund_is_a_fact(self, sale: Parse) -> None:
        def refund(so_far: int) -> Sale:
            return sale("stripe", self.thing(
                "charge.refunded", object="charge", id="ch_1", payment_intent={"id": "pi_1"}, amount=9700,
                currency="brl", amount_refunded=so_far,
            ))  # fmt: skip

        first, again, second, whole = refund(1000), refund(1000), refund(2000), refund(9700)
        assert (first.status, first.value, first.refunded_value) == (
            "partially_refunded",
            "97.00",
            "10.00",
        )
        assert first.event_key == again.event_key != second.event_key
        assert (whole.status, whole.refunded_value, whole.order_id) == ("refunded", "97.00", "pi_1")

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("won", "chargeback_won"),
            ("warning_closed", "chargeback_won"),
            ("lost", "chargeback"),
            ("new", "ignored"),
        ],
    )
    def test_closed_disputes(self, word: str, status: str, sale: Parse) -> None:
        dispute = self.thing(
            "charge.dispute.closed", object="dispute", id="dp_1", payment_intent="pi_1", status=word
        )
        assert sale("stripe", dispute).status == status

    @pytest.mark.parametrize(
        ("reason", "status", "renewal"),
        [
            ("subscription_cycle", "approved", True),
            ("subscription_create", "ignored", False),
            ("manual", "ignored", False),
        ],
    )
    def test_paid_invoices(self, reason: str, status: str, renewal: bool, sale: Parse) -> None:
        line = {
            "amount": 4900,
            "quantity": 1,
            "pricing": {"price_details": {"price": "price_1", "product": "prod_1"}},
        }
        invoice = self.thing(
            "invoice.paid", object="invoice", id="in_2", billing_reason=reason, amount_paid=4900, currency="brl",
            status="paid", customer_email="ana@example.com", lines={"data": [line]},
            parent={"subscription_details": {"subscription": "sub_1", "metadata": {"click_id": "c-1"}}},
        )  # fmt: skip
        found = sale("stripe", invoice)
        assert (found.status, found.renewal) == (status, renewal)
        if renewal:
            product = found.products[0]
            assert (found.order_id, found.value, found.tracking.click_id) == (
                "in_2",
                "49.00",
                "c-1",
            )
            assert (product.id, product.offer_id, product.value) == ("prod_1", "price_1", "49.00")

    @pytest.mark.parametrize(
        "owner", [{"invoice": "in_1"}, {"payment_details": {"order_reference": "cs_live_1"}}]
    )
    def test_an_intent_of_checkout_or_invoice_repeats_them(self, owner: Any, sale: Parse) -> None:
        intent = self.thing(
            "payment_intent.succeeded",
            object="payment_intent",
            id="pi_1",
            amount=100,
            currency="brl",
        )
        assert sale("stripe", intent).status == "approved"
        intent["data"]["object"] |= owner
        assert sale("stripe", intent).status == "ignored"

    def test_a_session_after_its_intent_is_still_read(self, event: Any, sale: Parse) -> None:
        intent = self.thing(
            "payment_intent.succeeded", object="payment_intent", id="pi_FAKE", amount=9700
        )
        first, second = sale("stripe", intent), sale("stripe", event)
        assert first.order_id == second.order_id
        assert first.event_key != second.event_key


class TestPerfectPay:
    @pytest.mark.parametrize(
        ("enum", "status"),
        [(0, "ignored"), (1, "pending"), (2, "approved"), (3, "pending"), (4, "approved"), (5, "refused"),
         (6, "canceled"), (7, "refunded"), (8, "approved"), (9, "chargeback"), (10, "completed"), (11, "canceled"),
         (12, "initiate_checkout"), (13, "expired"), (15, "canceled"), (16, "approved"), (17, "chargeback"),
         (18, "refunded"), (19, "refunded"), (20, "refunded"), (99, "ignored"), ("2", "approved"), ("x", "ignored")],
    )  # fmt: skip
    def test_statuses(self, enum: Any, status: str, tree: Tree, sale: Parse) -> None:
        assert (
            sale(
                "perfectpay", tree("perfectpay/2_approved.json") | {"sale_status_enum": enum}
            ).status
            == status
        )

    def test_repeats_of_an_approval_share_its_key(self, tree: Tree, sale: Parse) -> None:
        payload = tree("perfectpay/2_approved.json")
        keys = {
            sale("perfectpay", payload | {"sale_status_enum": enum}).event_key
            for enum in (2, 4, 8, 16)
        }
        assert len(keys) == 1

    def test_only_new_numbers_are_drift(self, tree: Tree, sale: Parse) -> None:
        payload, gateway = tree("perfectpay/2_approved.json"), registry()["perfectpay"]
        drift = {
            n: uses_unknown_word(gateway, sale("perfectpay", payload | {"sale_status_enum": n}))
            for n in (0, 2, 99)
        }
        assert drift == {0: False, 2: False, 99: True}

    @pytest.mark.parametrize(
        ("enum", "method"),
        [(0, None), (1, "credit_card"), (2, "boleto"), (3, "paypal"), (4, "credit_card"), (5, "free"), (7, "pix"),
         (8, "boleto"), (9, "other"), (10, "wallet"), (16, "wallet"), (77, "other"), (None, None)],
    )  # fmt: skip
    def test_payment_types(self, enum: Any, method: str | None, tree: Tree, sale: Parse) -> None:
        assert (
            sale(
                "perfectpay", tree("perfectpay/2_approved.json") | {"payment_type_enum": enum}
            ).method
            == method
        )

    def test_currencies(self, tree: Tree, sale: Parse) -> None:
        payload = tree("perfectpay/2_approved.json")
        found = [
            sale("perfectpay", payload | {"currency_enum": enum}).currency
            for enum in (1, 2, 3, None, 42)
        ]
        assert found == ["BRL", "USD", "EUR", "BRL", None]

    def test_renewals_and_meta_ids(self, tree: Tree, sale: Parse) -> None:
        payload = tree("perfectpay/2_approved.json") | {
            "subscription": {"status_event": "subscription_renewed"}
        }
        payload["metadata"] = {
            "src": "click-1",
            "_fbp": "fb.1.1700000000000.123",
            "_fbc": "fb.1.1700000000000.IwAR",
        }
        found = sale("perfectpay", payload)
        assert found.renewal
        assert (found.tracking.fbp, found.tracking.fbc) == (
            "fb.1.1700000000000.123",
            "fb.1.1700000000000.IwAR",
        )
        assert found.tracking.click_id == "click-1"

    def test_as_a_form(self, tree: Tree) -> None:
        payload = tree("perfectpay/2_approved.json")
        flat = {k: v for k, v in payload.items() if isinstance(v, str | int | float)}
        flat |= {f"customer[{k}]": v for k, v in payload["customer"].items()}
        flat |= {"metadata[src]": "click-1", "product[code]": "PPPB3A07"}
        (found,) = perfectpay.parse(urlencode(flat).encode())
        (same,) = perfectpay.parse(encoded(payload))
        assert (found.value, found.customer, found.event_key) == (
            same.value,
            same.customer,
            same.event_key,
        )
        assert (found.tracking.click_id, found.products[0].id) == ("click-1", "PPPB3A07")


class TestAppmax:
    @pytest.mark.parametrize(
        ("event", "status"),
        [("OrderAuthorized", "pending"), ("OrderAuthorizedWithDelay", "pending"), ("OrderUpSold", "approved"),
         ("PaymentNotAuthorizedWithDelay | Reason: x", "refused"), ("OrderPixExpired", "expired"),
         ("OrderPartialRefund", "partially_refunded"), ("OrderChargeBackGain", "chargeback_won"),
         ("SubscriptionDelayedEvent", "subscription_past_due"), ("ChargeFailed", "ignored"), ("OrderNew", "ignored")],
    )  # fmt: skip
    def test_events_without_a_sample(
        self, event: str, status: str, tree: Tree, sale: Parse
    ) -> None:
        found = sale("appmax", tree("appmax/OrderApproved.json") | {"event": event})
        assert (found.status, found.event) == (status, event.partition(" ")[0])

    def test_paid_at_authorisation_is_pending_and_at_approval_approved(
        self, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("appmax/OrderPaid.json")
        payload["data"]["status"] = "autorizado"
        authorised = sale("appmax", payload)
        payload["data"]["status"] = "aprovado"
        approved = sale("appmax", payload)
        assert (authorised.status, approved.status) == ("pending", "approved")
        assert authorised.event_key != approved.event_key

    def test_all_approvals_of_an_order_are_one_fact(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderApproved.json")
        events = ("OrderApproved", "OrderPaid", "OrderPaidByPix", "OrderIntegrated")
        assert len({sale("appmax", payload | {"event": event}).event_key for event in events}) == 1

    def test_an_upsell_keeps_the_order_and_is_a_new_fact(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderApproved.json")
        before = sale("appmax", payload)
        payload["data"]["total"] = "367.48"
        after = sale("appmax", payload | {"event": "OrderUpSold"})
        assert (after.order_id, after.value) == (before.order_id, "367.48")
        assert after.event_key != before.event_key

    def test_partial_refunds(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderRefund.json") | {"event": "OrderPartialRefund"}
        payload["data"] |= {"refund_amount": 100.5, "refunded_at": "2026-03-18 10:00:00"}
        first = sale("appmax", payload)
        payload["data"]["refund_amount"] = 200
        assert (first.value, first.refunded_value) == ("582.67", "100.50")
        assert first.occurred_at == "2026-03-18T13:00:00Z"
        assert first.event_key != sale("appmax", payload).event_key

    def test_flat_and_standard_say_the_same(self, tree: Tree, sale: Parse) -> None:
        standard = tree("appmax/OrderApproved.json")
        data = {
            f"order_{k}": v
            for k, v in standard["data"].items()
            if k not in ("customer", "customer_id", "visit")
        }
        data |= {f"customer_{k}": v for k, v in standard["data"]["customer"].items()}
        one, other = (
            sale("appmax", standard),
            sale("appmax", {"event": "OrderApproved", "data": data}),
        )
        assert one == other

    def test_tracking_of_visit_last_visit_and_visited_url(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderApproved.with_last_visit.reconstructed.json")
        last = payload["data"]["customer"]["last_visit"]
        found = sale("appmax", payload).tracking
        assert (found.utm_source, found.utm_term, found.click_id) == ("google", "logo-link", None)
        payload["data"]["customer"]["visited_url"] = (
            "https://loja.example/p?click_id=c-1&fbclid=IwAR1#top"
        )
        found = sale("appmax", payload).tracking
        assert (found.click_id, found.fbclid) == ("c-1", "IwAR1")
        last |= {"custom_var_k1": "click_id", "custom_var_v1": "c-2"}
        assert sale("appmax", payload).tracking.click_id == "c-2"

    def test_meta_model(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderApproved.json")
        payload["data"]["meta"] = [{"key": "click_id", "value": "c-1"}]
        assert sale("appmax", payload).tracking.click_id == "c-1"
        payload["data"]["meta"] = {"click_id": "c-2"}
        assert sale("appmax", payload).tracking.click_id == "c-2"

    def test_a_customers_number_is_never_an_orders(self, tree: Tree, sale: Parse) -> None:
        lead, order = (
            sale("appmax", tree(f"appmax/{name}.json"))
            for name in ("CustomerInterested", "OrderApproved")
        )
        assert lead.order_id is None and order.order_id == "1"

    def test_another_environment_is_a_test(self, tree: Tree, sale: Parse) -> None:
        payload = tree("appmax/OrderApproved.with_last_visit.reconstructed.json")
        assert sale("appmax", payload | {"environment": "sandbox"}).test

    def test_an_order_without_number(self) -> None:
        with pytest.raises(NotThisGateway, match=r"data\.order_id"):
            appmax.parse(b'{"event":"OrderApproved","data":{"total":1}}')


class TestBraip:
    @pytest.fixture
    def approved(self, tree: Tree) -> Any:
        return tree("braip/STATUS_ALTERADO.2_aprovado.reconstructed.json")

    @pytest.mark.parametrize(
        ("written", "currency"),
        [
            ("BRL", "BRL"),
            ("brl", "BRL"),
            ("R$", "BRL"),
            ("US$", "USD"),
            ("€", "EUR"),
            ("$", None),
            ("real", None),
        ],
    )
    def test_a_currency_may_be_a_sign(
        self, written: str, currency: str | None, tree: Tree, sale: Parse
    ) -> None:
        payload = tree("braip/STATUS_ALTERADO.2_aprovado.reconstructed.json") | {
            "currency": written
        }
        assert (sale("braip", payload).currency, sale("braip", payload).value) == (
            currency,
            "467.00",
        )

    @pytest.mark.parametrize(
        ("code", "status"),
        [(1, "pending"), (2, "approved"), (3, "canceled"), (4, "chargeback"), (5, "refunded"), (6, "pending"),
         (7, "refund_requested"), (8, "pending"), (9, "pending"), (10, "overdue"), (11, "pending"), (12, "canceled"),
         ("2", "approved"), (99, "ignored")],
    )  # fmt: skip
    def test_codes(self, code: Any, status: str, approved: Any, sale: Parse) -> None:
        found = sale("braip", approved | {"trans_status_code": code})
        assert found.status == status
        assert uses_unknown_word(registry()["braip"], found) is (status == "ignored")

    def test_the_word_speaks_where_no_code_does(self, approved: Any, sale: Parse) -> None:
        payload = approved | {"trans_status_code": None, "trans_status": "Em Análise"}
        assert sale("braip", payload).status == "pending"

    def test_types_that_repeat_a_sale_share_its_key(self, approved: Any, sale: Parse) -> None:
        keys = {
            sale("braip", approved | {"type": kind}).event_key
            for kind in ("STATUS_ALTERADO", "VENDA_COMPLETA")
        }
        assert len(keys) == 1

    def test_every_item_is_a_product_and_the_value_is_the_sales_own(
        self, approved: Any, sale: Parse
    ) -> None:
        found = sale("braip", approved)
        assert found.value == "467.00"
        assert [(p.id, p.value) for p in found.products] == [
            ("pro389358", "467.00"),
            ("pro000001", "49.00"),
        ]

    @pytest.mark.parametrize(
        ("payment", "method"),
        [
            (1, "boleto"),
            (2, "credit_card"),
            (3, "boleto"),
            (4, "free"),
            ("5", "pix"),
            (6, "other"),
            (None, None),
        ],
    )
    def test_payments(self, payment: Any, method: str | None, approved: Any, sale: Parse) -> None:
        assert sale("braip", approved | {"trans_payment": payment}).method == method

    def test_tracking_of_the_checkout_link_where_meta_is_missing(
        self, approved: Any, sale: Parse
    ) -> None:
        link = "https://ev.braip.example/c?src=c-1&utm_source=fb&fbclid=IwAR1"
        found = sale("braip", approved | {"meta": [], "trans_payment_link_checkout": link}).tracking
        assert (found.click_id, found.utm_source, found.fbclid) == ("c-1", "fb", "IwAR1")

    def test_as_a_form(self, approved: Any) -> None:
        flat = {
            k: v
            for k, v in approved.items()
            if isinstance(v, str | int) and not isinstance(v, bool)
        }
        flat |= {f"meta[{k}]": v for k, v in approved["meta"].items() if v}
        for index, item in enumerate(approved["trans_items"]):
            flat |= {
                f"trans_items[{index}][{k}]": str(v).lower() if v in (True, False) else v
                for k, v in item.items()
            }
        (found,), (same,) = braip.parse(urlencode(flat).encode()), braip.parse(encoded(approved))
        assert found == same

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("Cancelada", "subscription_canceled"),
            ("Atrasada", "subscription_past_due"),
            ("Ativa", "subscription_changed"),
        ],
    )
    def test_subscriptions(self, word: str, status: str, sale: Parse) -> None:
        found = sale(
            "braip",
            {
                "type": "ASSINATURA",
                "subs_key": "sub1",
                "subs_status": word,
                "client_email": "a@b.co",
            },
        )
        assert (found.status, found.order_id) == (status, None)

    def test_a_sale_without_number(self) -> None:
        with pytest.raises(NotThisGateway, match="trans_key"):
            braip.parse(
                b'{"type":"STATUS_ALTERADO","basic_authentication":"x","trans_status_code":2}'
            )
