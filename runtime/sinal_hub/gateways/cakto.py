"""Cakto: JSON per event and offer, authenticated by the webhook's `secret` in the body.

- Proof: `secret` at the root, compared; there is no signature.
- A bump or upsell (`offer_type`) is an event and an order of its own that names its parent in
  `parent_order`.
- A later charge is an order of its own too, of a period above 1: `subscription_period` beside the
  order or `subscription.current_period`, which captures show to differ (2 beside 8). After a trial
  the first of the `paid_payments_quantity` is the purchase, whatever period it is of. The first
  order stands in `subscription.parent_order`.
- Ways to pay come and go: `…_gerado` is pending, whatever stands before it.
- Value: `data.amount`, decimals in reais.
- Time: RFC 3339; the date of the status where there is one, else `createdAt`.
- No event id: key is order and status. An abandoned checkout has no order: who, what and when tell
  two apart.
- Tracking: the query of `data.checkoutUrl`, with all that the link had, and UTM, `sck`, `fbc` and
  `fbp` of `data`.

Sources: public adapters with the shape of a delivery, a copy of Cakto's page with three deliveries
of 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _methods,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, country_code, phones, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "cakto"
SECRET_KEYS: tuple[str, ...] = ("secret",)
AUTHENTICATES = True
MEANINGLESS: frozenset[str] = frozenset()
CURRENCY = "BRL"

EVENTS: dict[str, Status] = {
    "initiate_checkout": "initiate_checkout",
    "checkout_abandonment": "initiate_checkout",
    "pix_gerado": "pending",
    "boleto_gerado": "pending",
    "picpay_gerado": "pending",
    "openfinance_nubank_gerado": "pending",
    "purchase_approved": "approved",
    "purchase_refused": "refused",
    "refund": "refunded",
    "chargeback": "chargeback",
    "subscription_created": "subscription_changed",
    "subscription_renewed": "subscription_renewed",
    "subscription_canceled": "subscription_canceled",
    "subscription_renewal_refused": "subscription_past_due",
    "subscription_late": "subscription_past_due",
    "subscription_late_recovered": "subscription_changed",
    "subscription_paused": "subscription_changed",
    "subscription_resumed": "subscription_changed",
}
_ENDINGS: dict[str, Status] = {"_gerado": "pending", "_expirado": "expired"}  # of a way to pay
_DATES = {
    "approved": "paidAt",
    "refunded": "refundedAt",
    "partially_refunded": "refundedAt",
    "chargeback": "chargedbackAt",
    "refused": "updatedAt",
}
_TRUST = ("sck", "src", "xcod", "click_id")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the body carries the webhook's secret."""
    try:
        given = _body.load(raw).text("secret")
    except NotThisGateway:
        return False
    return _proof.is_one_of(given, _proof.secrets_of(secret, "secret"))


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Cakto."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event, data = body.text("event"), body.node("data")
    if event is None or not data:
        raise NotThisGateway("`event` or `data` is missing")
    if event not in EVENTS and not (body.text("secret") and event == event.lower()):
        raise NotThisGateway("`event` is not a word of Cakto's, and `secret` is missing")
    status = _status(event)
    if _order(data, status) is None and status != "initiate_checkout":
        raise NotThisGateway("`data.id` is missing")
    return [_sale(data, event, status, reading)]


def _order(data: Node, status: Status) -> str | None:
    """The order's id, else its short reference, which may be a cart's as well."""
    return data.ident("id") or (None if status == "initiate_checkout" else data.ident("refId"))


def _status(event: str) -> Status:
    if (status := EVENTS.get(event)) is not None:
        return status
    return next(
        (meaning for ending, meaning in _ENDINGS.items() if event.endswith(ending)), "ignored"
    )


def _sale(data: Node, event: str, status: Status, reading: Reading) -> Sale:
    order, subscription = _order(data, status), data.node("subscription")
    told = _money.currency_of(data.text("currency"), default=CURRENCY)
    value, currency = _money.price(data, "amount", default=told)
    subscribed = bool(subscription) or data.text("product", "type") == "subscription"
    status = _subscriptions.status_of(status, value, subscribed=subscribed)
    status, given = _refunds.given_back(status, value, currency, data)
    renewal = _is_later_charge(data, status)
    kept = _subscriptions.remembered(
        subscription.ident("id"), began=_subscriptions.began(status, value), renewal=renewal
    )
    links = [_tracking.query_of(data.text(name)) for name in ("checkoutUrl", "checkout_url")]
    product = _product(data, value)
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(
            NAME,
            order or _cart(data),
            status,
            event if status == "ignored" else _refunds.fact(status, given),
        ),
        status=status,
        order_id=order,
        parent_order_id=_parent(data, order),
        value=value,
        currency=currency,
        method=_methods.method(data.text("paymentMethod")),
        installments=data.integer("installments"),
        occurred_at=reading.occurred(_moment(data, status)),
        renewal=renewal,
        products=[product] if product.id or product.offer_id else [],
        customer=reading.customer(_buyer(data)),
        tracking=_tracking.read([*links, data], trust=_TRUST),
        client=_tracking.client_of(data.node("customer"), data),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _parent(data: Node, order: str | None) -> str | None:
    """The first order of a subscription by its id.

    A bump's main order by the short reference that alone is told.
    """
    first = data.ident("subscription", "parent_order")
    named = data.ident("parent_order") or data.ident("parent_order", "id")
    return next((parent for parent in (first, named) if parent not in (None, order)), None)


def _is_later_charge(data: Node, status: Status) -> bool:
    subscription = data.node("subscription")
    after_a_trial = (subscription.integer("trial_days") or 0) > 0
    if after_a_trial and subscription.integer("paid_payments_quantity") in (0, 1):
        return False
    periods = (data.integer("subscription_period"), subscription.integer("current_period"))
    return status == "subscription_renewed" or _subscriptions.is_later(*periods)


def _cart(data: Node) -> str:
    buyer = _buyer(data)
    product, created = data.ident("product", "id"), data.text("createdAt")
    return keys.fingerprint(buyer.email, buyer.phones, product, data.ident("offer", "id"), created)


def _moment(data: Node, status: Status) -> datetime | None:
    return _time.first(
        data.raw(_DATES.get(status, "createdAt")), data.raw("updatedAt"), data.raw("createdAt")
    )


def _product(data: Node, value: str | None) -> Product:
    product, offer = data.node("product"), data.node("offer")
    return Product(
        id=product.ident("id"), name=product.text("name"), offer_id=offer.ident("id"), value=value
    )


def _buyer(data: Node) -> identity.ClearUser:
    """`customer` of an order; an abandoned checkout may have its fields beside the others."""
    customer = data.node("customer")
    return identity.ClearUser(
        email=customer.text("email") or data.text("customerEmail"),
        phones=phones(
            with_country(
                country_code(customer), customer.text("phone") or data.text("customerCellphone")
            )
        ),
        full_name=customer.text("name") or data.text("customerName"),
    )
