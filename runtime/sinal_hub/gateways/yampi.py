"""Yampi: JSON per event with the whole order in `resource`, signed.

- Proof: `X-Yampi-Hmac-SHA256` = base64 HMAC-SHA256 of the raw body.
- Status by `event`; `order.status.updated` says nothing itself, the order's `status` does. Words of
  the delivery (invoiced, on its way, delivered) come after the payment and mean nothing to a
  funnel.
- Value: `value_total` in reais, what the order costs with delivery; `buyer_value_total` has the
  card's interest.
- Bumps and upsells stand among the `items` of the same order, with a flag.
- Time: local inside `{"date": …, "timezone": …}`, whose zone (a name, an offset, an abbreviation)
  is the order's; `updated_at` of the order, `created_at` for a new one. `time` of the delivery
  stands alone and is of that zone too.
- Lines are at list price; what `value_discount` took off the order is spread over them.
- No event id: key is order and status. A cart is known by its token.
- Client: `ip` of the order or the customer. Tracking: `utm_*` and `metadata`, a list of names and
  values.

Sources: public adapters and captured orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _basket,
    _body,
    _methods,
    _money,
    _proof,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status, Tracking

NAME = "yampi"
SECRET_KEYS: tuple[str, ...] = ("webhookSecret",)
AUTHENTICATES = True
CURRENCY = "BRL"
CART = "cart.reminder"
BY_STATUS = "order.status.updated"

EVENTS: dict[str, Status] = {
    CART: "initiate_checkout",
    "order.created": "pending",
    "order.paid": "approved",
    "order.refunded": "refunded",
    "order.cancelled": "canceled",
    "order.canceled": "canceled",
    "transaction.payment.refused": "refused",
}
STATUSES: dict[str, Status] = {
    "waiting_payment": "pending",
    "pending": "pending",
    "authorized": "pending",
    "paid": "approved",
    "approved": "approved",
    "refused": "refused",
    "cancelled": "canceled",
    "canceled": "canceled",
    "refunded": "refunded",
    "partially_refunded": "partially_refunded",
    "chargeback": "chargeback",
    "charged_back": "chargeback",
    "expired": "expired",
}
_FULFILMENT = frozenset({
    "handling_products", "on_carriage", "delivered", "invoiced", "shipment_exception", "waiting_shipment", "ready",
    "ready_for_shipping", "ready_for_pickup", "shipped",
})  # fmt: skip
MEANINGLESS = frozenset(
    {"customer.created", "product.created", "product.updated", "order.invoice.updated", "delivery"}
)
_OFFSET = re.compile(r"[+-]\d{2}:\d{2}", re.ASCII)
_ABBREVIATIONS = {
    "Z": "UTC",
    "BRT": "America/Sao_Paulo",
    "AMT": "America/Manaus",
    "ACT": "America/Rio_Branco",
}
_TRUST = ("click_id", "xcod", "sck", "src")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the webhook's secret signed these bytes."""
    given = _proof.header(headers, "x-yampi-hmac-sha256")
    return _proof.signed_base64(given, raw, _proof.secrets_of(secret, "webhookSecret"))


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Yampi."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event, resource = body.text("event"), body.node("resource")
    if event is None or not resource:
        raise NotThisGateway("`event` or `resource` is missing")
    status, word = _status(event, resource)
    order = resource.ident("order_id") or resource.ident("id") or resource.ident("number")
    if order is None and status not in ("initiate_checkout", "ignored"):
        raise NotThisGateway("`resource.id` is missing")
    return [_sale(body, word, status, order, reading)]


def _status(event: str, resource: Node) -> tuple[Status, str]:
    """What the event says; of a changed status what the order says, with the word to report."""
    if event != BY_STATUS:
        return EVENTS.get(event, "ignored"), event
    alias = (
        resource.text("status", "data", "alias")
        or resource.text("status", "alias")
        or resource.text("status")
        or ""
    )
    # one word for all of them, which MEANINGLESS knows: a parcel's way is not drift
    if alias in _FULFILMENT:
        return "ignored", "delivery"
    return STATUSES.get(alias, "ignored"), event


def _sale(body: Node, event: str, status: Status, order: str | None, reading: Reading) -> Sale:
    resource, is_cart = body.node("resource"), status == "initiate_checkout"
    value, currency = _price(resource)
    cart = (
        resource.ident("token")
        or order
        or keys.fingerprint(_data(resource, "customer").text("email"))
    )
    who = cart if is_cart else order or keys.fingerprint(event, body.text("time"))
    fact = body.text("time") if status == "ignored" else None
    person = _data(resource, "customer")
    products = [
        _product(item, currency) for item in _list(resource, "items") if item.ident("product_id")
    ]
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, who, status, event if status == "ignored" else None, fact),
        status=status,
        order_id=who if is_cart else order,
        value=value,
        currency=currency,
        method=_methods.method(
            next((node.text("alias") for node in resource.nodes("payments")), None)
        ),
        installments=next(
            (node.integer("installments") for node in _list(resource, "transactions")), None
        ),
        occurred_at=reading.occurred(_moment(body, status)),
        products=_basket.fitted(products, value, currency, besides=_shipment(resource)),
        customer=reading.customer(_buyer(resource)),
        tracking=_returned(resource),
        client=_tracking.client(resource.text("ip") or person.text("ip")),
    )


def _data(node: Node, name: str) -> Node:
    """Yampi's objects stand in `{"data": …}`, but not everywhere."""
    return node.node(name, "data") or node.node(name)


def _list(node: Node, name: str) -> list[Node]:
    return node.nodes(name, "data") or ([] if node.node(name) else node.nodes(name))


def _price(resource: Node) -> tuple[str | None, str | None]:
    """What the order costs; a cart's total may stand among its totalizers alone."""
    value, currency = _money.price(resource, "value_total", default=CURRENCY)
    return (
        (value, currency)
        if value is not None
        else _money.price(resource, "totalizers", "total", default=CURRENCY)
    )


def _shipment(resource: Node) -> Decimal | None:
    """What delivery costs, which the order's total has in it."""
    told = _money.amount(resource, "value_shipment", code=CURRENCY)
    told = (
        _money.amount(resource, "totalizers", "shipment", code=CURRENCY) if told is None else told
    )
    return None if told is None else Decimal(told)


def _moment(body: Node, status: Status) -> datetime | None:
    resource = body.node("resource")
    updated, created = _instant(resource.node("updated_at")), _instant(resource.node("created_at"))
    if status == "pending":
        updated = None
    zone = resource.text("updated_at", "timezone") or resource.text("created_at", "timezone")
    told = _instant(Node({"date": body.text("time"), "timezone": zone}))
    return updated or told or created or _time.instant(resource.raw("created_at"))


def _instant(dated: Node) -> datetime | None:
    """A date beside its zone, as PHP writes one; without a zone that is known it is Brasília's."""
    date, zone = dated.text("date"), dated.text("timezone")
    if date is None:
        return None
    try:
        local = datetime.fromisoformat(date)
        if zone is None or local.tzinfo is not None:
            return _time.instant(date)
        if _OFFSET.fullmatch(zone):
            return _time.instant(f"{local.isoformat()}{zone}")
        return _time.instant(
            local.replace(tzinfo=ZoneInfo(_ABBREVIATIONS.get(zone, zone))).isoformat()
        )
    except (
        ValueError,
        ZoneInfoNotFoundError,
        OSError,
    ):  # a name that leads out of the zones is none
        return _time.instant(date)


def _product(item: Node, currency: str | None) -> Product:
    quantity, price = (
        max(1, item.integer("quantity") or 1),
        _money.amount(item, "price", code=currency or CURRENCY),
    )
    return Product(
        id=item.ident("product_id"),
        name=_data(item, "sku").text("title") or item.text("name"),
        offer_id=item.ident("sku_id"),
        quantity=quantity,
        value=None if price is None else _money.major(Decimal(price) * quantity, currency),
    )


def _buyer(resource: Node) -> identity.ClearUser:
    person, address = _data(resource, "customer"), _data(resource, "shipping_address")
    phone = person.node("phone")
    number = phone.text("full_number") or phone.text("formated_number") or phone.text("number")
    return identity.ClearUser(
        email=person.text("email"),
        phones=phones(number or person.text("phone")),
        first_name=person.text("first_name"),
        last_name=person.text("last_name"),
        full_name=person.text("generic_name") or person.text("name"),
        city=address.text("city"),
        state=address.text("uf") or address.text("state"),
        zip=address.text("zipcode") or address.text("zip_code"),
        country=address.text("country"),
    )


def _returned(resource: Node) -> Tracking:
    notes = Node(
        {note.text("key") or "": note.raw("value") for note in _list(resource, "metadata")}
    )
    return _tracking.read(
        [resource, notes, resource.node("tracking_data"), resource.node("metadata")], trust=_TRUST
    )
