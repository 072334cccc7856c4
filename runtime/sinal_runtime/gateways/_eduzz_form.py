"""Eduzz's older webhook: flat `trans_*`, `cus_*` and `tracker_*` fields, as JSON or as a form.

Dates and times come apart ("20190904" and "12:00:00") or together. A contract's notices carry its last invoice, so
`trans_status` decides, and `recurrence_count` tells a renewal.
"""

from __future__ import annotations

from datetime import datetime

from sinal_runtime import identity
from sinal_runtime.gateways import _keys, _money, _time, _tracking
from sinal_runtime.gateways._body import Node
from sinal_runtime.gateways._reading import Reading, phones
from sinal_runtime.gateways.sale import Product, Sale, Status, Tracking

_NAME = "eduzz"
_COMPACT_DATE = 8  # digits of 20190904

STATUSES: dict[int, tuple[str, Status]] = {
    1: ("open", "pending"),
    3: ("paid", "approved"),
    4: ("canceled", "canceled"),
    6: ("waiting_refund", "refund_requested"),
    7: ("refunded", "refunded"),
    9: ("chargeback", "chargeback"),
    10: ("expired", "expired"),
    11: ("recovering", "pending"),
    15: ("waiting_payment", "pending"),
}
METHODS = {1: "boleto", 9: "paypal", 25: "paypal", 32: "pix"}
_CARDS = frozenset({13, 14, 15, 16, 21, 23, 24, 27})
_TRUST = ("tracker_trk", "tracker_trk2", "tracker_trk3")


def is_delivery(body: Node) -> bool:
    """Whether the body is of the older webhook."""
    return body.ident("trans_cod") is not None and body.text("trans_status") is not None


def sale(body: Node, reading: Reading) -> Sale:
    """The sale of an older delivery."""
    order, number = body.ident("trans_cod"), body.integer("trans_status")
    unknown: tuple[str, Status] = (body.text("trans_status") or "", "ignored")
    word, status = unknown if number is None else STATUSES.get(number, unknown)
    currency = _money.currency(body.text("trans_currency") or "BRL")
    value = _price(body, currency)
    return Sale(
        gateway=_NAME,
        event=word,
        event_key=_keys.event_key(_NAME, order, status, word if status == "ignored" else None),
        status=status,
        order_id=order,
        value=value,
        currency=currency if value is not None else None,
        method=_method(body.integer("trans_paymentmethod")),
        occurred_at=reading.occurred(_moment(body, status)),
        renewal=(body.integer("recurrence_count") or 0) > 1,
        products=_products(body, value, currency),
        customer=reading.customer(_buyer(body)),
        tracking=_returned(body),
    )


def _price(body: Node, currency: str | None) -> str | None:
    value = body.number("trans_value")
    return _money.major(body.number("trans_paid") if value is None else value, currency)


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
    if date is not None and len(date) == _COMPACT_DATE and date.isdigit():
        date = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    if date is None or clock is None or ":" in date:
        return _time.instant(date)
    return _time.first(f"{date} {clock}", date)


def _products(body: Node, value: str | None, currency: str | None) -> list[Product]:
    items = [
        Product(
            id=item.ident("item_product_id") or item.ident("item_id"),
            name=item.text("item_product_name") or item.text("item_name"),
            value=_money.major(item.number("item_value"), currency),
        )
        for item in body.nodes("trans_items")
        if item.ident("item_product_id") or item.ident("item_id")
    ]
    product = body.ident("product_cod")
    return items or ([Product(id=product, name=body.text("product_name"), value=value)] if product else [])


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
    bare = Node({name.removeprefix("tracker_"): body.raw(name) for name in body if name.startswith("tracker_")})
    return _tracking.read(
        [body, bare, _tracking.query_of(body.text("page_checkout_url"))], trust=(*_TRUST, "sck", "src")
    )
