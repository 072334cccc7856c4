"""Kirvano: one JSON delivery an event; nothing in it proves where it comes from.

- Proof: none is evidenced. The unguessable segment of the webhook's URL is the only check.
- Status by `event`, in capitals. An abandoned cart has a `checkout_id` and no sale yet.
- Value: `total_price`, written "R$ 1.169,80", with the bumps; bumps stand in `products` with their own prices.
- Time: naive local; `payment.finished_at` for an approval, else the later of it and `created_at`: no delivery says
  when its own status began.
- No event id: key is sale and status.
- Tracking: `utm.src` and UTM come back.

Sources: test deliveries of Kirvano's panel; public adapters for the events that these do not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sinal_runtime import identity
from sinal_runtime.gateways import NotThisGateway, _body, _keys, _methods, _money, _time, _tracking
from sinal_runtime.gateways._body import Node
from sinal_runtime.gateways._reading import Reading, phones
from sinal_runtime.gateways.sale import Product, Sale, Status

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
    "SALE_CHARGEBACK": "chargeback",
    "PIX_EXPIRED": "expired",
    "BANK_SLIP_EXPIRED": "expired",
    "SUBSCRIPTION_RENEWED": "subscription_renewed",
    "SUBSCRIPTION_CANCELED": "subscription_canceled",
    "SUBSCRIPTION_EXPIRED": "subscription_canceled",
    "SUBSCRIPTION_OVERDUE": "subscription_past_due",
}


def verify(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]) -> bool:
    """True: there is nothing to check, the caller must have checked the token in the URL."""
    return True


def parse(raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is no delivery of Kirvano."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event = body.text("event")
    if event is None:
        raise NotThisGateway("`event` is missing")
    if body.ident("sale_id") is None and body.ident("checkout_id") is None:
        raise NotThisGateway("`sale_id` and `checkout_id` are missing")
    if event not in EVENTS and "event_description" not in body:
        raise NotThisGateway("`event` is not a word of Kirvano's, and `event_description` is missing")
    return [_sale(body, event, EVENTS.get(event, "ignored"), reading)]


def _sale(body: Node, event: str, status: Status, reading: Reading) -> Sale:
    order, value = body.ident("sale_id") or body.ident("checkout_id"), _price(body, "total_price")
    payment = body.node("payment")
    return Sale(
        gateway=NAME,
        event=event,
        event_key=_keys.event_key(NAME, order, status, event if status == "ignored" else None),
        status=status,
        order_id=order,
        value=value,
        currency=CURRENCY if value is not None else None,
        method=_methods.method(body.text("payment_method") or payment.text("method")),
        installments=payment.integer("installments"),
        occurred_at=reading.occurred(_moment(body, status)),
        renewal=status == "subscription_renewed",
        products=[_product(item) for item in body.nodes("products") if item.ident("id") or item.ident("offer_id")],
        customer=reading.customer(_buyer(body.node("customer"))),
        tracking=_tracking.read([body.node("utm")], trust=("sck", "src", "xcod")),
    )


def _price(node: Node, name: str) -> str | None:
    amount = _money.reais(node.text(name))
    return _money.major(node.number(name) if amount is None else amount, CURRENCY)


def _moment(body: Node, status: Status) -> datetime | None:
    created, finished = body.raw("created_at"), body.raw("payment", "finished_at")
    return _time.first(finished, created) if status == "approved" else _time.latest(created, finished)


def _product(item: Node) -> Product:
    return Product(
        id=item.ident("id"), name=item.text("name"), offer_id=item.ident("offer_id"), value=_price(item, "price")
    )


def _buyer(customer: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=customer.text("email"),
        phones=phones(customer.text("phone_number") or customer.text("phone")),
        full_name=customer.text("name"),
    )
