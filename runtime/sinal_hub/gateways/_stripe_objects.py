"""Where the objects of Stripe's events keep what a sale needs: one reader for sessions, intents,
invoices, charges, disputes.

The places moved between API versions (2025: an invoice's subscription and payment, a subscription's
period); all are read.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import UNSET, UnsetType

from sinal_hub.gateways import _basket, _money
from sinal_hub.gateways._body import Node
from sinal_hub.model.sale import Product, Status

# Currencies that Stripe counts in whole units, and those with three decimals; it counts ISK and UGX
# in hundredths.
# fmt: off
_WHOLE_UNITS = frozenset({
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
})
# fmt: on
_AT_A_TILL = frozenset({"card_present", "interac_present"})
_OF_INVOICES = frozenset({"Subscription update", "Payment for Invoice"})
_THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_PAYMENTS = frozenset({
    "checkout.session", "payment_intent", "invoice", "invoice_payment", "charge", "dispute", "refund",
})  # fmt: skip


def order_id(thing: Node) -> str | None:
    """The id of the order: the invoice where the object names one, else the payment, else the
    object's own id.
    """
    if thing.text("object") == "subscription":
        return thing.ident("id")
    return invoice(thing) or _payment(thing) or thing.ident("id")


def names(thing: Node) -> list[str]:
    """Other ids by which events speak of the order: of an invoice its payment.

    A refund names only that one.
    """
    other = _payment(thing)
    return [other] if other is not None and other != order_id(thing) else []


def invoice(thing: Node) -> str | None:
    """The invoice that the object is, or that it is paid for.

    Since API 2025-03-31 intents name it as their order.
    """
    if thing.text("object") == "invoice":
        return thing.ident("id")
    told = thing.ident("payment_details", "order_reference") or ""
    return reference(thing, "invoice") or (told if told.startswith("in_") else None)


def _payment(thing: Node) -> str | None:
    """The payment intent, or the charge where there is none."""
    kind = thing.text("object")
    if kind == "payment_intent":
        return thing.ident("id")
    paid = [
        thing,
        thing.node("payment"),
        *(one.node("payment") for one in thing.nodes("payments", "data")),
    ]
    return (
        next((found for node in paid if (found := reference(node, "payment_intent"))), None)
        or next((found for node in paid if (found := reference(node, "charge"))), None)
        or (thing.ident("id") if kind == "charge" else None)
    )


def is_payment(thing: Node) -> bool:
    """Whether the object is part of a payment, so that `order_id` means an order."""
    return thing.text("object") in _PAYMENTS


def reference(thing: Node, name: str) -> str | None:
    """The id of another object, also where that object is expanded."""
    return thing.ident(name) or thing.ident(name, "id")


def is_of_checkout(intent: Node) -> bool:
    """Whether a payment intent is a Checkout session's, whose own events tell more."""
    return (intent.text("payment_details", "order_reference") or "").startswith("cs_")


def is_of_an_invoice(intent: Node) -> bool:
    """Whether Stripe's own description says that an intent pays an invoice, also where the intent
    names none.

    A subscription's first one may have no other event that tells of the sale.
    """
    return intent.text("description") in _OF_INVOICES


def is_nothing(thing: Node) -> bool:
    """Whether a session or an invoice asked for no money: a trial begins, a cycle costs nothing."""
    amount = _amount(thing)
    return amount == 0 or (amount is None and thing.text("payment_status") == "no_payment_required")


def is_pending_refund(charge: Node) -> bool:
    """Whether a charge lists its refunds and the newest of them has not gone through yet."""
    newest = max(
        charge.nodes("refunds", "data"), key=lambda one: one.integer("created") or 0, default=Node()
    )
    return newest.text("status") in ("pending", "requires_action")


def subscription(thing: Node) -> str | None:
    """The subscription that a session began or an invoice is for.

    Its place moved with API 2025-03-31.
    """
    return reference(thing, "subscription") or reference(
        thing.node("parent", "subscription_details"), "subscription"
    )


def is_in_person(thing: Node) -> bool:
    """Whether a card was read by a Terminal: nobody was on a website."""
    used = thing.text("payment_method_details", "type") or thing.text(
        "latest_charge", "payment_method_details", "type"
    )
    offered = thing.raw("payment_method_types")
    words = [used] if used else offered if isinstance(offered, list) else []
    return bool(words) and all(isinstance(word, str) and word in _AT_A_TILL for word in words)


def is_partial_refund(charge: Node) -> bool:
    """Whether less than the charge's amount has been given back so far."""
    given_back, amount = charge.number("amount_refunded"), charge.number("amount")
    return given_back is not None and amount is not None and given_back < amount


def price(thing: Node) -> tuple[str | None, str | None]:
    """Value in major units and its currency, None where the event carries none."""
    currency = _money.currency(thing.text("currency"))
    amount = _amount(thing)
    if amount is None:
        return None, None
    return _money.major(amount.scaleb(-_minor_digits(currency)), currency), currency


def _amount(thing: Node) -> Decimal | None:
    match thing.text("object"):
        case "checkout.session":
            return thing.number("amount_total")
        case "payment_intent":
            return thing.number("amount_received") or thing.number("amount")  # 0 until it is paid
        case "invoice":
            return thing.number("amount_due" if thing.text("status") == "open" else "amount_paid")
        case "charge" | "dispute":
            return thing.number("amount")
    return None


def refunded(thing: Node, status: Status) -> str | UnsetType:
    """What has been given back of a charge so far, in major units."""
    amount = thing.number("amount_refunded")
    if amount is None or status not in ("refunded", "partially_refunded"):
        return UNSET
    currency = _money.currency(thing.text("currency"))
    return _money.major(amount.scaleb(-_minor_digits(currency)), currency) or UNSET


def _minor_digits(currency: str | None) -> int:
    if currency in _WHOLE_UNITS:
        return 0
    return 3 if currency in _THOUSANDTHS else 2


def method_word(thing: Node) -> str | None:
    """Stripe's word for how it was paid.

    A list of what was on offer tells only when there is one choice.
    """
    if thing.text("payment_status") == "no_payment_required":
        return "free"
    if used := thing.text("payment_method_details", "type"):
        return used
    offered = thing.raw("payment_method_types")
    return (
        thing.text("payment_method_types")
        if isinstance(offered, list) and len(offered) == 1
        else None
    )


def metadata(thing: Node) -> list[Node]:
    """The metadata of the object and of the subscription or lines it is for."""
    places = [
        thing.node("metadata"),
        thing.node("parent", "subscription_details", "metadata"),
        thing.node("subscription_details", "metadata"),
        *(line.node("metadata") for line in thing.nodes("lines", "data")[:10]),
    ]
    return [place for place in places if place]


def products(
    thing: Node, notes: list[Node], value: str | None, currency: str | None
) -> list[Product]:
    """Lines of an invoice, subscription or expanded session.

    Else what a session's metadata and payment link say.
    """
    places = (("lines", "data"), ("items", "data"), ("line_items", "data"))
    lines = [_line(line, currency) for place in places for line in thing.nodes(*place)]
    if found := [line for line in lines if line.id or line.offer_id]:
        return _basket.fitted(found, value, currency)
    product = next((text for node in notes if (text := node.ident("product_id"))), None)
    name = next((text for node in notes if (text := node.text("product_name"))), None)
    offer = reference(thing, "payment_link")
    return [Product(id=product, name=name, offer_id=offer, value=value)] if product or offer else []


def _line(line: Node, currency: str | None) -> Product:
    details = line.node("pricing", "price_details") or line.node("price") or line.node("plan")
    amount = line.number("amount_total")  # of a session: after discounts, with tax
    if amount is None and (amount := line.number("amount")) is not None:
        amount -= sum(
            (one.number("amount") or Decimal(0) for one in line.nodes("discount_amounts")),
            Decimal(0),
        )
    return Product(
        id=reference(details, "product"),
        name=line.text("description"),
        offer_id=reference(details, "price") or details.ident("id"),
        quantity=max(1, line.integer("quantity") or 1),
        value=None
        if amount is None
        else _money.major(amount.scaleb(-_minor_digits(currency)), currency),
    )


def person(thing: Node) -> Node:
    """E-mail, name and phone of whoever pays, first found first."""
    places = [
        thing.node("customer_details"),
        thing.node("billing_details"),
        thing.node("latest_charge", "billing_details"),
        *(charge.node("billing_details") for charge in thing.nodes("charges", "data")[:1]),
        thing.node("shipping"),
    ]
    alone = {
        "email": ("customer_email", "receipt_email"),
        "name": ("customer_name",),
        "phone": ("customer_phone",),
    }
    return Node({
        field: next((text for place in places if (text := place.text(field))), None)
        or next((text for name in names if (text := thing.text(name))), None)
        for field, names in alone.items()
    })  # fmt: skip


def address(thing: Node) -> Node:
    """The first address that says anything."""
    places = [
        thing.node("customer_details", "address"),
        thing.node("billing_details", "address"),
        thing.node("customer_address"),
        thing.node("collected_information", "shipping_details", "address"),
        thing.node("shipping", "address"),
    ]
    return next((place for place in places if any(place.text(name) for name in place)), Node())
