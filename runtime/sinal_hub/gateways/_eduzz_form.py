"""Eduzz's older webhook: invoices with flat `trans_*`, `cus_*` and `tracker_*` fields, and
abandoned carts.

Both come as JSON or as a form; names of what is below another ("product[id]", "product.id") are
spelled so in JSON too. Dates and times come apart ("20190904" and "12:00:00") or together. A
contract's notices carry its last invoice, so `trans_status` decides, and `recurrence_count` tells a
renewal. 9 is a second invoice of the same product, which is never charged. `refund_type` tells a
part from the whole only where the invoice is refunded: it stands in others too.
"""

from __future__ import annotations

import re
from datetime import datetime

from sinal_hub import identity
from sinal_hub.gateways import _money, _refunds, _subscriptions, _time, _tracking
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status, Tracking

_NAME = "eduzz"
_COMPACT_DATE = 8  # digits of 20190904

STATUSES: dict[int, tuple[str, Status]] = {
    1: ("open", "pending"),
    3: ("paid", "approved"),
    4: ("canceled", "canceled"),
    6: ("waiting_refund", "refund_requested"),
    7: ("refunded", "refunded"),
    9: ("duplicated", "canceled"),
    10: ("expired", "expired"),
    11: ("recovering", "pending"),
    15: ("waiting_payment", "pending"),
}
METHODS = {1: "boleto", 9: "paypal", 25: "paypal", 32: "pix"}
_CARDS = frozenset({13, 14, 15, 16, 21, 23, 24, 27})
CART = "abandonment"
_TRIAL = 10  # of a contract (`recurrence_status`)
_TRUST = ("tracker_trk", "tracker_trk2", "tracker_trk3", "sck", "src")
# buyers of what is sent when a URL is saved
_OWN = frozenset({"webhook@eduzz.com", "emaildocliente@provedor.com"})
_STEPS = re.compile(r"[\[\].]+")
_MAX_STEPS = 4


def is_delivery(body: Node) -> bool:
    """Whether the body is of the older webhook."""
    return _is_cart(body) or (
        body.ident("trans_cod") is not None and body.text("trans_status") is not None
    )


def is_eduzz_own(email: str | None) -> bool:
    """Whether a buyer is the one of Eduzz's own deliveries, which try a URL."""
    return (email or "").lower() in _OWN


def tries_url(body: Node) -> bool:
    """Whether the body is the cart that Eduzz sends when a URL is saved, which has no key."""
    return _is_cart(body) and is_eduzz_own(_grown(body).text("customer", "email"))


def sale(body: Node, reading: Reading) -> Sale:
    """The sale, or the abandoned cart, of an older delivery."""
    body = _grown(body)
    return _cart(body, reading) if _is_cart(body) else _invoice(body, reading)


def _is_cart(body: Node) -> bool:
    return body.text("type") == CART and any(
        name in body for name in ("identifier", "cartAccessedAt", "checkoutUrl")
    )


def _grown(body: Node) -> Node:
    """The body with "product[id]" and "trans_items[0][item_id]" where JSON would have them."""
    tree: dict[str, object] = {}
    for name in body:
        steps = [step for step in _STEPS.split(name) if step][:_MAX_STEPS] or [name]
        place = tree
        for step in steps[:-1]:
            below = place.get(step)
            if not isinstance(below, dict):
                below = place[step] = {}
            place = below
        place[steps[-1]] = body.raw(name)
    return Node(tree)


def _cart(body: Node, reading: Reading) -> Sale:
    buyer, product = body.node("customer"), body.node("product")
    test = is_eduzz_own(buyer.text("email"))
    cart = "url-trial" if test else body.ident("identifier")
    who = (
        buyer.text("email"),
        buyer.text("phone"),
        product.ident("id"),
        body.text("cartAccessedAt"),
    )
    bought = Product(id=product.ident("id"), name=product.text("title") or product.text("name"))
    person = identity.ClearUser(
        email=buyer.text("email"),
        phones=phones(buyer.text("phone") or buyer.text("cellphone")),
        full_name=buyer.text("name"),
    )
    return Sale(
        gateway=_NAME,
        event=CART,
        event_key=keys.event_key(_NAME, cart or keys.fingerprint(who), "initiate_checkout"),
        status="initiate_checkout",
        order_id=None,
        occurred_at=reading.occurred(_time.first(body.raw("cartAccessedAt"))),
        test=test,
        products=[bought] if bought.id else [],
        customer=reading.customer(person),
        tracking=_tracking.read([body, _tracking.query_of(body.text("checkoutUrl"))], trust=_TRUST),
        client=_tracking.client_of(buyer, body),
    )


def _invoice(body: Node, reading: Reading) -> Sale:
    order, number = body.ident("trans_cod"), body.integer("trans_status")
    unknown: tuple[str, Status] = (body.text("trans_status") or "", "ignored")
    word, status = unknown if number is None else STATUSES.get(number, unknown)
    told = _money.currency_of(body.text("trans_currency"), default="BRL")
    value, currency = _price(body, told)
    trial = body.integer("recurrence_status") == _TRIAL
    # a trial's invoice has its later price
    paid = _money.amount(body, "trans_paid", code=told) if trial else None
    status = _subscriptions.status_of(
        status,
        value if paid is None else paid,
        subscribed=trial or body.ident("recurrence_cod") is not None,
    )
    status, given = _refunds.given_back(status, value, currency, body)
    renewal = _subscriptions.is_later(body.integer("recurrence_count"))
    began = (trial and status == "subscription_changed") or _subscriptions.began(status, value)
    kept = _subscriptions.remembered(body.ident("recurrence_cod"), began=began, renewal=renewal)
    return Sale(
        gateway=_NAME,
        event=word,
        event_key=keys.event_key(
            _NAME, order, status, word if status == "ignored" else _refunds.fact(status, given)
        ),
        status=status,
        order_id=order,
        value=value,
        currency=currency,
        method=_method(body.integer("trans_paymentmethod")),
        occurred_at=reading.occurred(_moment(body, status)),
        test=is_eduzz_own(body.text("cus_email")),
        renewal=renewal,
        products=_products(body, value, currency),
        customer=reading.customer(_buyer(body)),
        tracking=_returned(body),
        client=_tracking.client_of(body),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _price(body: Node, told: str | None) -> tuple[str | None, str | None]:
    value, currency = _money.price(body, "trans_value", default=told)
    return _money.price(body, "trans_paid", default=told) if value is None else (value, currency)


def _method(number: int | None) -> str | None:
    if number is None:
        return None
    return "credit_card" if number in _CARDS else METHODS.get(number, "other")


def _moment(body: Node, status: Status) -> datetime | None:
    created, paid = _local(body, "create"), _local(body, "paid")
    return (
        (paid or created)
        if status == "approved"
        else _time.latest(body.raw("trans_updatedate"), *_texts(created, paid))
    )


def _texts(*moments: datetime | None) -> list[str]:
    return [moment.isoformat() for moment in moments if moment is not None]


def _local(body: Node, which: str) -> datetime | None:
    date, clock = body.text(f"trans_{which}date"), body.text(f"trans_{which}time")
    if date is not None and len(date) == _COMPACT_DATE and date.isdecimal():
        date = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    if date is None or clock is None or ":" in date:
        return _time.instant(date)
    return _time.first(f"{date} {clock}", date)


def _products(body: Node, value: str | None, currency: str | None) -> list[Product]:
    items = [
        item
        for item in body.nodes("trans_items")
        if item.ident("item_product_id") or item.ident("item_id")
    ]
    prices = [_money.amount(item, "item_value", code=currency) for item in items]
    product = body.ident("product_cod")
    if not items:
        return [Product(id=product, name=body.text("product_name"), value=value)] if product else []
    return [
        Product(
            id=item.ident("item_product_id") or item.ident("item_id"),
            name=item.text("item_product_name") or item.text("item_name"),
            value=line,
        )
        for item, line in zip(items, _money.shared(prices, value, currency), strict=True)
    ]


def _buyer(body: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=body.text("cus_email"),
        phones=phones(body.text("cus_cel") or body.text("cus_tel") or body.text("cus_tel2")),
        full_name=body.text("cus_name"),
        city=body.text("cus_address_city"),
        state=body.text("cus_address_state"),
        zip=body.text("cus_address_zip_code"),
        country=body.text("cus_address_country"),
    )


def _returned(body: Node) -> Tracking:
    bare = Node(
        {
            name.removeprefix("tracker_"): body.raw(name)
            for name in body
            if name.startswith("tracker_")
        }
    )
    return _tracking.read(
        [body, bare, _tracking.query_of(body.text("page_checkout_url"))], trust=_TRUST
    )
