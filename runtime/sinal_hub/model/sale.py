"""The normalised sale: what every gateway's webhook becomes, whatever its own words were.

Money is a decimal string in major units, time is RFC 3339 UTC, personal data is hashed as Meta
wants it. The order of states is by rank; a later event of a lower rank is recorded and changes
nothing.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from sinal_hub.model import keys, placeholders
from sinal_hub.model.crawlers import is_crawler

Status = Literal[
    "lead",
    "initiate_checkout",
    "pending",
    "overdue",
    "approved",
    "completed",
    "refused",
    "canceled",
    "expired",
    "refund_requested",
    "refunded",
    "partially_refunded",
    "chargeback",
    "chargeback_won",
    "subscription_renewed",
    "subscription_past_due",
    "subscription_canceled",
    "subscription_changed",
    "ignored",
]

# Subscription notices and `ignored` have no rank: they never move an order.
RANK: dict[str, int] = {
    "lead": 10,
    "initiate_checkout": 20,
    "pending": 30,
    "overdue": 30,
    "refused": 40,
    "canceled": 40,
    "expired": 40,
    "approved": 50,
    "completed": 60,
    "refund_requested": 70,
    "partially_refunded": 80,
    "refunded": 90,
    "chargeback": 90,
    "chargeback_won": 100,
}


class Product(msgspec.Struct, kw_only=True, frozen=True):
    """One line of an order.

    `value` is a decimal string of the whole line, not of one unit, or None.
    """

    id: str | None = None
    name: str | None = None
    offer_id: str | None = None
    quantity: int = 1
    value: str | None = None


class Customer(msgspec.Struct, kw_only=True, frozen=True):
    """SHA-256 hex of what Meta accepts, each a list.

    `clear` only when a person at a terminal asked for it.
    """

    em: list[str] = []
    ph: list[str] = []
    fn: list[str] = []
    ln: list[str] = []
    ct: list[str] = []
    st: list[str] = []
    zp: list[str] = []
    country: list[str] = []
    clear: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class Tracking(msgspec.Struct, kw_only=True, frozen=True):
    """What came back through the gateway of what our script put into the checkout link."""

    click_id: str | None = None
    session_id: str | None = None
    external_id: str | None = None
    fbclid: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_content: str | None = None
    utm_term: str | None = None
    src: str | None = None
    sck: str | None = None


class Client(msgspec.Struct, kw_only=True, frozen=True):
    """The buyer's browser, where the gateway tells."""

    ip: str | None = None
    user_agent: str | None = None


class Sale(msgspec.Struct, kw_only=True, frozen=True):
    """One normalised sale; field order is that of the printed JSON."""

    gateway: str
    event: str  # the gateway's own word
    # "<gateway>:…", the same for a repeated delivery, different for a different fact
    event_key: str
    status: Status
    order_id: str | None
    parent_order_id: str | None = None
    value: str | None = None
    currency: str | None = None
    method: str | None = None  # pix, credit_card, boleto, wallet, paypal, free, other
    installments: int | None = None
    occurred_at: str  # RFC 3339 UTC with Z
    test: bool = False
    renewal: bool = False
    products: list[Product] = []
    customer: Customer = Customer()
    tracking: Tracking = Tracking()
    client: Client = Client()
    # What has been given back of `value` so far; of a refund that tells no `value`, what it alone
    # gave back. Only on refunds whose amount the gateway tells.
    refunded_value: str | msgspec.UnsetType = msgspec.UNSET
    # Other ids by which the gateway speaks of this order (Stripe: an invoice and its payment
    # intent); empty where there may be some that this delivery does not tell. Matching joins what
    # it hears under any of them.
    names: list[str] | msgspec.UnsetType = msgspec.UNSET
    # The subscription whose first charge a sale may be, and whether it has just begun with nothing
    # to pay.
    subscription_id: str | msgspec.UnsetType = msgspec.UNSET
    trial: bool | msgspec.UnsetType = msgspec.UNSET
    # Sold at a till or a card machine: nobody was on the website.
    in_person: bool | msgspec.UnsetType = msgspec.UNSET


class Slots(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What stood in the checkout link's slots, as it came back; a damaged id may be in them."""

    src: str | None = None
    sck: str | None = None


class SaleDetails(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What only a sale has: everything else that is known of it stands in its `Event`."""

    gateway: str
    event: str  # the gateway's own word
    status: Status
    parent_order_id: str | None = None
    method: str | None = None
    installments: int | None = None
    test: bool = False
    renewal: bool = False
    products: list[Product] = []
    # `tracking` in JSON: version 1 has the slots there, beside what version 2 keeps in the event
    slots: Slots = msgspec.field(default=Slots(), name="tracking")
    refunded_value: str | msgspec.UnsetType = msgspec.UNSET
    names: list[str] | msgspec.UnsetType = msgspec.UNSET
    subscription_id: str | msgspec.UnsetType = msgspec.UNSET
    trial: bool | msgspec.UnsetType = msgspec.UNSET
    in_person: bool | msgspec.UnsetType = msgspec.UNSET


_OWN = tuple(name for name in SaleDetails.__struct_fields__ if name != "slots")


def details_of(sale: Sale) -> SaleDetails:
    """The part of a normalised sale that no other event has."""
    slots = Slots(src=sale.tracking.src, sck=sale.tracking.sck)
    return SaleDetails(slots=slots, **{name: getattr(sale, name) for name in _OWN})


def marked_test(sales: list[Sale]) -> list[Sale]:
    """The same sales, as those of a test button."""
    return [msgspec.structs.replace(sale, test=True) for sale in sales]


class MalformedSale(ValueError):
    """An adapter gave something that is not a sale.

    The message names the field and never its value.
    """


# as of tracking: sums of a million such can be stored
_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_AT = re.compile(r"at `\$\[\d+\]\.?([\w.\[\]]*)`")
_decode = msgspec.json.Decoder(list[Sale]).decode


def checked(sales: list[Sale]) -> list[Sale]:
    """The sales an adapter gave, if they are what their types say; raises MalformedSale.

    Types are promises that a package of another need not have kept, and what is not a sale would
    fail only behind the broker, where its delivery cannot be read again. A placeholder in an id or
    a campaign parameter becomes None, and a key that was made of one is made anew.
    """
    try:
        found = _decode(msgspec.json.encode(sales))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        at = _AT.search(str(error))
        raise MalformedSale(
            f"`{at[1] or 'Sale'}` is of the wrong type" if at else "no list of sales"
        ) from None
    for sale in found:
        ids = [("order_id", sale.order_id), ("parent_order_id", sale.parent_order_id)]
        ids += [("subscription_id", sale.subscription_id or None)]
        ids += [(f"names[{at}]", other) for at, other in enumerate(sale.names or [])]
        for name, told in ids:
            if told is not None and not told.isprintable() and _CONTROL.search(told):
                raise MalformedSale(f"`{name}` contains a control character")
        amounts = {"value": sale.value, "refunded_value": sale.refunded_value or None}
        amounts |= {
            f"products[{at}].value": product.value for at, product in enumerate(sale.products)
        }
        for name, amount in amounts.items():
            if amount is not None and not _AMOUNT.fullmatch(amount):
                raise MalformedSale(
                    f"`{name}` is not a decimal string of at most 12 digits before the point"
                )
    return [_without_placeholders(sale) for sale in found]


_CAMPAIGN = tuple(name for name in Tracking.__struct_fields__ if name.startswith("utm_"))
_SLOTS = frozenset({"src", "sck"})  # kept as they came, beside what was read out of them
_IDS = tuple(
    name for name in Tracking.__struct_fields__ if name not in _SLOTS and name not in _CAMPAIGN
)


def _without_placeholders(sale: Sale) -> Sale:
    """The sale without what programs write for nothing: an order `undefined` would be
    everybody's.
    """
    tracking = sale.tracking
    empty = {
        name: None
        for name in _IDS
        if (told := getattr(tracking, name)) and placeholders.is_no_id(told)
    }
    empty |= {
        name: None
        for name in _CAMPAIGN
        if (told := getattr(tracking, name)) and placeholders.is_no_campaign(told)
    }
    changes: dict[str, Any] = {}
    if is_crawler(sale.client.user_agent):
        # a program's, and not the buyer's: its address would match whoever shares it
        changes["client"] = Client()
    if empty:
        changes["tracking"] = msgspec.structs.replace(tracking, **empty)
    for name in ("order_id", "parent_order_id"):
        if (told := getattr(sale, name)) is not None and _is_nobodys(told):
            changes[name] = None
    if sale.parent_order_id is not None and sale.parent_order_id == sale.order_id:
        # an order that a gateway tells to be its own is nobody's bump
        changes["parent_order_id"] = None
    if "order_id" in changes:
        changes["event_key"] = _key_without_order(sale)
    if sale.subscription_id and _is_nobodys(sale.subscription_id):
        changes |= {"subscription_id": msgspec.UNSET, "trial": msgspec.UNSET}
    if sale.names and any(map(_is_nobodys, sale.names)):
        changes["names"] = [told for told in sale.names if not _is_nobodys(told)]
    if any(product.id and placeholders.is_no_id(product.id) for product in sale.products):
        changes["products"] = [
            msgspec.structs.replace(product, id=placeholders.id_or_none(product.id))
            for product in sale.products
        ]
    return msgspec.structs.replace(sale, **changes) if changes else sale


def _is_nobodys(told: str) -> bool:
    return not told.strip() or placeholders.is_no_id(told)


def _key_without_order(sale: Sale) -> str:
    """A key of who, what and when: one made of a placeholder is that of the next buyer, too, who
    would be a repeat.
    """
    who = (sale.customer.em, sale.customer.ph, sale.customer.fn, sale.customer.ln)
    what = (
        [(product.id, product.offer_id) for product in sale.products],
        sale.value,
        sale.currency,
    )
    fact = keys.fingerprint(sale.event_key, who, what, sale.occurred_at)
    return keys.event_key(sale.gateway, fact, sale.status)
