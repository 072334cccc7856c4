"""Cartpanda: JSON per event with the whole order in `order`.

Nothing in it proves where it comes from.

- Proof: none is evidenced. The unguessable segment of the webhook's URL is the only check.
- Value: `order.payment.actual_price_paid` in the currency beside it; the shop may sell in any. Else
  `total_price` in the shop's own currency (`payment.currency`, the shop's settings), whatever
  `order.currency` says. Without any, reais. Lines have a price in the shop's currency, and
  `actual_price_paid` in the buyer's.
- Upsells and bumps come with `order.upsell` as lines of the same order, whose total grows (the
  total is in the key).
- `order.refunded` says by `refunds[].total_amount` what was given back; less than the total is a
  refund in part. `chargeback_received` counts whatever the event is.
- Client: `browser_ip` and `user_agent` of the buyer. Tracking: `order.tracking_parameters`, a list
  of names and values with UTM, `fbc`, `fbp`, `external_id`, `src`, `sck`.
- Time: as sent; the date of the status where there is one, else `created_at`.
- No event id: key is order and status.

Sources: public adapters in agreement with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET

from sinal_hub import identity
from sinal_hub.gateways import NotThisGateway, _basket, _body, _methods, _money, _time, _tracking
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status, Tracking

NAME = "cartpanda"
SECRET_KEYS: tuple[str, ...] = ()
AUTHENTICATES = False
CURRENCY = "BRL"
MEANINGLESS = frozenset({"order.updated", "order.fulfilled"})

EVENTS: dict[str, Status] = {
    "order.created": "pending",
    "order.paid": "approved",
    "order.upsell": "approved",
    "order.refunded": "refunded",
    "order.cancelled": "canceled",
    "order.canceled": "canceled",
    "order.partially_refunded": "partially_refunded",
    "order.chargeback": "chargeback",
}
_DATES = {
    "approved": ("processed_at", "paid_at"),
    "refunded": ("refunded_at",),
    "canceled": ("cancelled_at",),
}
_TRUST = ("click_id", "xcod", "sck", "src")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """True: there is nothing to check, the caller must have checked the token in the URL."""
    return True


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Cartpanda."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event, order = body.text("event"), body.node("order")
    if event is None or not order:
        raise NotThisGateway("`event` or `order` is missing")
    if order.ident("id") is None:
        raise NotThisGateway("`order.id` is missing")
    contested = order.flag("chargeback_received") is True
    return [
        _sale(order, event, "chargeback" if contested else EVENTS.get(event, "ignored"), reading)
    ]


def _sale(order: Node, event: str, status: Status, reading: Reading) -> Sale:
    number, payment = order.ident("id"), order.node("payment")
    value, currency = _price(order)
    status, refunded = _refund(order, status, value, currency)
    browser = order.node("client_details")
    ip, agent = (order.text(name) or browser.text(name) for name in ("browser_ip", "user_agent"))
    fact: tuple[str | None, ...] = (event, order.text("updated_at")) if status == "ignored" else ()
    if event == "order.upsell" or status == "partially_refunded":
        fact = (event, refunded or value)
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, number, status, *fact),
        status=status,
        order_id=number,
        parent_order_id=order.ident("parent_order_id"),
        value=value,
        currency=currency,
        method=_methods.method(payment.text("payment_type") or payment.text("type")),
        installments=payment.integer("installments"),
        occurred_at=reading.occurred(_moment(order, status)),
        test=order.flag("test") is True,
        products=_lines(order, value, currency),
        customer=reading.customer(_buyer(order)),
        tracking=_returned(order),
        client=_tracking.client(ip, agent),
        refunded_value=refunded or UNSET,
    )


def _price(order: Node) -> tuple[str | None, str | None]:
    """What was paid and its currency: the buyer's, else the shop's own."""
    payment = order.node("payment")
    own = _own_currency(order)
    told = payment.text("actual_price_paid_currency") or own or order.text("currency")
    paid = _money.price(
        payment, "actual_price_paid", default=_money.currency_of(told, default=CURRENCY)
    )
    if paid[0] is not None:
        return paid
    return _money.price(
        order,
        "total_price",
        default=_money.currency_of(own, order.text("currency"), default=CURRENCY),
    )


def _own_currency(order: Node) -> str | None:
    """The shop's currency, in which totals and list prices are."""
    places = (("shop_info", "settings_general"), ("shop", "settings_general"))
    return order.text("payment", "currency") or next(
        (code for place in places if (code := order.text(*place, "base_currency"))), None
    )


def _refund(
    order: Node, status: Status, value: str | None, currency: str | None
) -> tuple[Status, str | None]:
    """Whole or in part, and what was given back in the currency of `value`.

    Refunds are told in that of the total.
    """
    if status not in ("refunded", "partially_refunded"):
        return status, None
    total, refunds = _money.amount(order, "total_price", code=currency), order.nodes("refunds")
    told = [
        amount
        for one in refunds
        if (amount := _money.amount(one, "total_amount", code=currency)) is not None
    ]
    back = sum(map(Decimal, told), Decimal(0))
    if not back or value is None:
        return status, None
    whole = Decimal(total or value)
    share = min(back / whole, Decimal(1)) if whole else Decimal(1)
    return "refunded" if share == 1 else "partially_refunded", _money.major(
        Decimal(value) * share, currency
    )


def _lines(order: Node, value: str | None, currency: str | None) -> list[Product]:
    """The lines in the currency that was paid in.

    At list prices only where that is the shop's own.
    """
    items = order.nodes("line_items")
    own = _own_currency(order)
    in_own = own is None or _money.currency(own) == currency
    products = [_product(item, currency, in_own=in_own) for item in items]
    return _basket.fitted(products, value, currency)


def _moment(order: Node, status: Status) -> datetime | None:
    special = [order.raw(name) for name in _DATES.get(status, ())]
    return _time.first(
        *special, order.raw("updated_at") if status != "pending" else None, order.raw("created_at")
    )


def _product(item: Node, currency: str | None, *, in_own: bool) -> Product:
    quantity = max(1, item.integer("quantity") or 1)
    price = _money.amount(item, "actual_price_paid", code=currency)
    if price is None and in_own:
        price = _money.amount(item, "price", code=currency)
    return Product(
        id=item.ident("product_id") or item.ident("id"),
        name=item.text("title") or item.text("name"),
        offer_id=item.ident("variant_id"),
        quantity=quantity,
        value=None if price is None else _money.major(Decimal(price) * quantity, currency),
    )


def _buyer(order: Node) -> identity.ClearUser:
    person = order.node("customer")
    address = (
        order.node("address") or order.node("shipping_address") or order.node("billing_address")
    )
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
    pairs = {
        p.text("parameter_name") or "": p.raw("parameter_value")
        for p in order.nodes("tracking_parameters")
    }
    return _tracking.read([Node(pairs), order.node("checkout_params")], trust=_TRUST)
