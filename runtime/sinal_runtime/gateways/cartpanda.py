"""Cartpanda: JSON per event with the whole order in `order`; nothing in it proves where it comes from.

- Proof: none is evidenced. The unguessable segment of the webhook's URL is the only check.
- Value: `order.payment.actual_price_paid` in the currency beside it; the shop may sell in any. Without one, reais.
- Client: `browser_ip` and `user_agent` of the buyer. Tracking: `order.tracking_parameters`, a list of names and values
  with UTM, `fbc`, `fbp`, `external_id`, `src`, `sck`.
- Time: as sent; the date of the status where there is one, else `created_at`.
- No event id: key is order and status.

Sources: public adapters in agreement with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sinal_runtime import identity
from sinal_runtime.gateways import NotThisGateway, _body, _keys, _methods, _money, _time, _tracking
from sinal_runtime.gateways._body import Node
from sinal_runtime.gateways._reading import Reading, phones
from sinal_runtime.gateways.sale import Product, Sale, Status, Tracking

NAME = "cartpanda"
SECRET_KEYS: tuple[str, ...] = ()
AUTHENTICATES = False
MEANINGLESS = frozenset({"order.updated", "order.fulfilled"})

EVENTS: dict[str, Status] = {
    "order.created": "pending",
    "order.paid": "approved",
    "order.refunded": "refunded",
    "order.cancelled": "canceled",
    "order.canceled": "canceled",
    "order.chargeback": "chargeback",
}
_DATES = {"approved": ("processed_at", "paid_at"), "refunded": ("refunded_at",), "canceled": ("cancelled_at",)}
_TRUST = ("click_id", "xcod", "sck", "src")


def verify(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]) -> bool:
    """True: there is nothing to check, the caller must have checked the token in the URL."""
    return True


def parse(raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is no delivery of Cartpanda."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event, order = body.text("event"), body.node("order")
    if event is None or not order:
        raise NotThisGateway("`event` or `order` is missing")
    if order.ident("id") is None:
        raise NotThisGateway("`order.id` is missing")
    return [_sale(order, event, EVENTS.get(event, "ignored"), reading)]


def _sale(order: Node, event: str, status: Status, reading: Reading) -> Sale:
    number, payment = order.ident("id"), order.node("payment")
    code = payment.text("actual_price_paid_currency") or payment.text("currency") or order.text("currency") or "BRL"
    currency, paid = _money.currency(code), payment.number("actual_price_paid")
    value = _money.major(order.number("total_price") if paid is None else paid, currency)
    fact = (event, order.text("updated_at")) if status == "ignored" else ()
    return Sale(
        gateway=NAME,
        event=event,
        event_key=_keys.event_key(NAME, number, status, *fact),
        status=status,
        order_id=number,
        parent_order_id=order.ident("parent_order_id"),
        value=value,
        currency=currency if value is not None else None,
        method=_methods.method(payment.text("payment_type") or payment.text("type")),
        installments=payment.integer("installments"),
        occurred_at=reading.occurred(_moment(order, status)),
        test=order.flag("test") is True,
        products=[_product(item, currency) for item in order.nodes("line_items")],
        customer=reading.customer(_buyer(order)),
        tracking=_returned(order),
        client=_tracking.client(order.text("browser_ip"), order.text("user_agent")),
    )


def _moment(order: Node, status: Status) -> datetime | None:
    special = [order.raw(name) for name in _DATES.get(status, ())]
    return _time.first(*special, order.raw("updated_at") if status != "pending" else None, order.raw("created_at"))


def _product(item: Node, currency: str | None) -> Product:
    quantity, price = max(1, item.integer("quantity") or 1), item.number("price")
    return Product(
        id=item.ident("product_id") or item.ident("id"),
        name=item.text("title") or item.text("name"),
        offer_id=item.ident("variant_id"),
        quantity=quantity,
        value=None if price is None else _money.major(price * quantity, currency),
    )


def _buyer(order: Node) -> identity.ClearUser:
    person = order.node("customer")
    address = order.node("address") or order.node("shipping_address") or order.node("billing_address")
    return identity.ClearUser(
        email=person.text("email") or order.text("email"),
        phones=phones(person.text("phone") or order.text("phone") or address.text("phone")),
        first_name=person.text("first_name"),
        last_name=person.text("last_name"),
        full_name=person.text("full_name") or person.text("name"),
        city=address.text("city"),
        state=address.text("province_code") or address.text("province"),
        zip=address.text("zip"),
        country=address.text("country_code") or address.text("country"),
    )


def _returned(order: Node) -> Tracking:
    pairs = {p.text("parameter_name") or "": p.raw("parameter_value") for p in order.nodes("tracking_parameters")}
    return _tracking.read([Node(pairs), order.node("checkout_params")], trust=_TRUST)
