"""PagSeguro's older transaction, as its API answers a notification code: one XML element
`transaction`.

A sale at a card machine (Moderninha) says in `deviceInfo` which one it was.
"""

from __future__ import annotations

from msgspec import UNSET

from sinal_hub import identity
from sinal_hub.gateways import NotThisGateway, _basket, _money, _time, _tracking, _xml
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones, with_area
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

_NAME = "pagbank"
_CURRENCY = "BRL"

STATUSES: dict[int, Status] = {
    1: "pending",
    2: "pending",  # in analysis
    3: "approved",
    4: "completed",  # the money is at the seller's disposal
    5: "refund_requested",  # in dispute
    6: "refunded",
    7: "canceled",
    8: "chargeback",  # debited from the seller
    9: "chargeback",  # withheld because of one
}
METHODS = {1: "credit_card", 2: "boleto", 3: "other", 4: "wallet", 7: "other", 11: "pix"}


def sale(raw: bytes, reading: Reading) -> Sale:
    """The sale of an answer; raises NotThisGateway for what is not a transaction."""
    root, body = _xml.load(raw)
    order, number = body.ident("code"), body.integer("status")
    if root != "transaction" or order is None or number is None:
        raise NotThisGateway("`transaction`, its `code` or its `status` is missing in the answer")
    status = STATUSES.get(number, "ignored")
    value = _money.major(body.number("grossAmount"), _CURRENCY)
    payment = body.integer("paymentMethod", "type")
    products = [_product(item) for item in body.nodes("items", "item")]
    moment = _time.first(
        body.raw("date") if status == "pending" else None,
        body.raw("lastEventDate"),
        body.raw("date"),
    )
    return Sale(
        gateway=_NAME,
        event=str(number),
        event_key=keys.event_key(
            _NAME, order, status, str(number) if status == "ignored" else None
        ),
        status=status,
        order_id=order,
        value=value,
        currency=_CURRENCY if value is not None else None,
        method=None if payment is None else METHODS.get(payment, "other"),
        installments=body.integer("installmentCount"),
        occurred_at=reading.occurred(moment),
        products=_basket.fitted(
            products, value, _CURRENCY, besides=body.number("shipping", "cost")
        ),
        customer=reading.customer(_buyer(body)),
        tracking=_tracking.read([body], trust=("reference",)),
        in_person=bool(body.node("deviceInfo")) or UNSET,
    )


def _product(item: Node) -> Product:
    quantity, price = max(1, item.integer("quantity") or 1), item.number("amount")
    value = None if price is None else _money.major(price * quantity, _CURRENCY)
    return Product(
        id=item.ident("id"), name=item.text("description"), quantity=quantity, value=value
    )


def _buyer(body: Node) -> identity.ClearUser:
    person, address = body.node("sender"), body.node("shipping", "address")
    return identity.ClearUser(
        email=person.text("email"),
        phones=phones(with_area(person.text("phone", "areaCode"), person.text("phone", "number"))),
        full_name=person.text("name"),
        city=address.text("city"),
        state=address.text("state"),
        zip=address.text("postalCode"),
        country=address.text("country"),
    )
