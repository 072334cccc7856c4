"""Hotmart's webhook 1.0.0: flat fields, form-encoded, statuses in lower case; accounts choose the
version per configuration.

It has no event name and no event time: the status is the event, and the latest date of the purchase
is when it happened. The same rules as in 2.0.0 hold for value (`price`), tracking and keys, so that
both versions of one fact share a key.
"""

from __future__ import annotations

from sinal_hub import identity
from sinal_hub.gateways import _methods, _money, _refunds, _subscriptions, _time, _tracking
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones, with_area
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

_NAME = "hotmart"

STATUSES: dict[str, Status] = {
    "started": "pending",
    "billet_printed": "pending",
    "wayting_payment": "pending",  # sic
    "waiting_payment": "pending",
    "pre_order": "pending",
    "processing_transaction": "pending",
    "under_analisys": "pending",  # sic
    "under_analysis": "pending",
    "approved": "approved",
    "completed": "completed",
    "complete": "completed",
    "no_funds": "refused",
    "canceled": "canceled",
    "cancelled": "canceled",
    "blocked": "canceled",
    "expired": "expired",
    "delayed": "overdue",
    "overdue": "overdue",
    "dispute": "refund_requested",
    "protested": "refund_requested",
    "refunded": "refunded",
    "partially_refunded": "partially_refunded",
    "chargeback": "chargeback",
}
TEST_TRANSACTION = "HP16015479281022"  # of the panel's test button, in both versions
TEST_PRODUCT = "Produto test postback2"
_MARKS = ("hottok", "prod", "callback_type", "transaction_ext", "cms_vendor", "payment_engine")


def is_delivery(body: Node) -> bool:
    """Whether the body is a 1.0.0 delivery: transaction and status at the root, and a field only
    Hotmart sends.
    """
    return bool(body.ident("transaction") and body.text("status")) and any(
        mark in body for mark in _MARKS
    )


def sale(body: Node, reading: Reading) -> Sale:
    """The normalised sale of a 1.0.0 delivery."""
    order, word = body.ident("transaction"), (body.text("status") or "").lower()
    told = _money.currency(body.text("currency") or body.text("currency_code_from"))
    value, currency = _money.price(body, "price", default=told)
    subscribed = body.text("subscriber_code") is not None
    status = _subscriptions.status_of(STATUSES.get(word, "ignored"), value, subscribed=subscribed)
    status, given = _refunds.given_back(status, value, currency, body)
    renewal = _subscriptions.is_later(body.integer("recurrency"))
    kept = _subscriptions.remembered(
        body.ident("subscriber_code"), began=_subscriptions.began(status, value), renewal=renewal
    )
    confirmed = body.raw("confirmation_purchase_date")
    approved = confirmed if status == "approved" else None
    moment = _time.instant(approved) or _time.latest(confirmed, body.raw("purchase_date"))
    return Sale(
        gateway=_NAME,
        event=word,
        event_key=keys.event_key(
            _NAME, order, status, word if status == "ignored" else _refunds.fact(status, given)
        ),
        status=status,
        order_id=order,
        value=value,
        currency=currency or told,
        method=_methods.method(body.text("payment_type")),
        installments=body.integer("installments_number"),
        occurred_at=reading.occurred(moment),
        test=_is_test(body, order),
        renewal=renewal,
        products=_products(body, value),
        customer=reading.customer(_buyer(body)),
        tracking=_tracking.read([body], trust=("xcod", "sck", "src")),
        client=_tracking.client_of(body),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _is_test(body: Node, order: str | None) -> bool:
    named = (body.text("prod_name") or "").startswith(TEST_PRODUCT)
    return body.integer("prod") == 0 or named or order == TEST_TRANSACTION


def _products(body: Node, value: str | None) -> list[Product]:
    found = Product(
        id=body.ident("prod"), name=body.text("prod_name"), offer_id=body.ident("off"), value=value
    )
    return [found] if found.id or found.name else []


def _buyer(body: Node) -> identity.ClearUser:
    checkout = with_area(body.text("phone_checkout_local_code"), body.text("phone_checkout_number"))
    return identity.ClearUser(
        email=body.text("email"),
        phones=phones(
            checkout or with_area(body.text("phone_local_code"), body.text("phone_number"))
        ),
        first_name=body.text("first_name"),
        last_name=body.text("last_name"),
        full_name=body.text("name"),
        city=body.text("address_city"),
        state=body.text("address_state"),
        zip=body.text("address_zip_code"),
        country=body.text("address_country"),
    )
