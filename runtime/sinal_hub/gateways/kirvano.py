"""Kirvano: one JSON delivery an event; nothing in it proves where it comes from.

- Proof: none is evidenced. The unguessable segment of the webhook's URL is the only check.
- Status by `event`, in capitals. Ways to pay come and go: `…_GENERATED` is pending and `…_EXPIRED`
  expired, whatever stands before it. An abandoned cart has a `checkout_id` and no sale yet.
- Value: `total_price`, written "R$ 1.169,80" or "1.169", with the bumps; bumps stand in `products`
  with their own prices, before a discount on the whole. Reais, unless another sign or code stands
  beside the amount.
- A subscription's charge is an approval with its number in `plan.charge_number`, the first of them
  1.
- Time: naive local; `payment.finished_at` for an approval, else the later of it and `created_at`:
  no delivery says when its own status began.
- No event id: key is sale and status.
- Tracking: `utm.src` and UTM come back.
- Test button: always the sale D2RP8RQ7 of the checkout Q8J1N6K3, as in Kirvano's own samples.

Sources: test deliveries of Kirvano's panel; public adapters for the events that these do not show,
and a delivery of 2026 for `plan`.
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
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, country_code, phones, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "kirvano"
SECRET_KEYS: tuple[str, ...] = ()
AUTHENTICATES = False
MEANINGLESS: frozenset[str] = frozenset()
CURRENCY = "BRL"

EVENTS: dict[str, Status] = {
    "ABANDONED_CART": "initiate_checkout",
    "PIX_GENERATED": "pending",
    "BANK_SLIP_GENERATED": "pending",
    "SALE_APPROVED": "approved",
    "SALE_REFUSED": "refused",
    "SALE_REFUNDED": "refunded",
    "REFUND": "refunded",
    "SALE_CHARGEBACK": "chargeback",
    "PIX_EXPIRED": "expired",
    "BANK_SLIP_EXPIRED": "expired",
    "SUBSCRIPTION_RENEWED": "subscription_renewed",
    "SUBSCRIPTION_CANCELED": "subscription_canceled",
    "SUBSCRIPTION_EXPIRED": "subscription_canceled",
    "SUBSCRIPTION_OVERDUE": "subscription_past_due",
}
# of a way to pay: PIX, PICPAY, …
_ENDINGS: dict[str, Status] = {"_GENERATED": "pending", "_EXPIRED": "expired"}
_TEST_CHECKOUT, _TEST_SALE = "Q8J1N6K3", "D2RP8RQ7"


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """True: there is nothing to check, the caller must have checked the token in the URL."""
    return True


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Kirvano."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event = body.text("event")
    if event is None:
        raise NotThisGateway("`event` is missing")
    if _order(body) is None:
        raise NotThisGateway("`sale_id` and `checkout_id` are missing")
    if event not in EVENTS and "event_description" not in body:
        raise NotThisGateway(
            "`event` is not a word of Kirvano's, and `event_description` is missing"
        )
    return [_sale(body, event, reading)]


def _order(body: Node) -> str | None:
    return body.ident("sale_id") or body.ident("sale", "id") or body.ident("checkout_id")


def _status(event: str) -> Status:
    if event in EVENTS or event.startswith("SUBSCRIPTION_"):
        return EVENTS.get(event, "ignored")
    return next(
        (status for ending, status in _ENDINGS.items() if event.endswith(ending)), "ignored"
    )


def _sale(body: Node, event: str, reading: Reading) -> Sale:
    order, payment = _order(body), body.node("payment")
    value, currency = _money.price(body, "total_price", default=CURRENCY)
    subscribed = body.text("type") == "RECURRING" or bool(body.node("plan"))
    status = _subscriptions.status_of(_status(event), value, subscribed=subscribed)
    status, given = _refunds.given_back(status, value, currency, body, payment)
    renewal = status == "subscription_renewed" or _subscriptions.is_later(
        body.integer("plan", "charge_number")
    )
    kept = _subscriptions.remembered(
        body.ident("subscription", "id"), began=_subscriptions.began(status, value), renewal=renewal
    )
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(
            NAME, order, status, event if status == "ignored" else _refunds.fact(status, given)
        ),
        status=status,
        order_id=order,
        value=value,
        currency=currency,
        method=_methods.method(body.text("payment_method") or payment.text("method")),
        installments=payment.integer("installments"),
        occurred_at=reading.occurred(_moment(body, status)),
        test=body.ident("checkout_id") == _TEST_CHECKOUT
        and body.ident("sale_id") in (None, _TEST_SALE),
        renewal=renewal,
        products=_products(body, value, currency),
        customer=reading.customer(_buyer(body.node("customer"))),
        tracking=_tracking.read(
            [body.node("utm"), body, _tracking.query_of(body.text("checkout_url"))],
            trust=("sck", "src", "xcod"),
        ),
        client=_tracking.client_of(body.node("customer"), payment),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _moment(body: Node, status: Status) -> datetime | None:
    created, finished = body.raw("created_at"), body.raw("payment", "finished_at")
    return (
        _time.first(finished, created) if status == "approved" else _time.latest(created, finished)
    )


def _products(body: Node, value: str | None, currency: str | None) -> list[Product]:
    items = [item for item in body.nodes("products") if item.ident("id") or item.ident("offer_id")]
    quantities = [max(1, item.integer("quantity") or 1) for item in items]
    prices = [_money.amount(item, "price", code=currency or CURRENCY) for item in items]
    values = _money.lines(prices, quantities, value, currency)
    return [
        Product(
            id=item.ident("id"),
            name=item.text("name"),
            offer_id=item.ident("offer_id"),
            quantity=many,
            value=line,
        )
        for item, many, line in zip(items, quantities, values, strict=True)
    ]


def _buyer(customer: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=customer.text("email"),
        phones=phones(
            with_country(
                country_code(customer), customer.text("phone_number") or customer.text("phone")
            )
        ),
        full_name=customer.text("name"),
    )
