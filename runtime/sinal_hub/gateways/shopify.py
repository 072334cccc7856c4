"""Shopify: order, refund and checkout resources as JSON, signed.

- Proof: `X-Shopify-Hmac-Sha256` = base64 HMAC-SHA256 of the raw body.
- The topic stands in a header, the state in the resource: `financial_status` and `cancelled_at` of
  an order tell more than `orders/create` or `orders/updated`, which repeat each other. So the body
  alone decides, and `event` is the topic that tells such a state. A refund is a resource of its
  own, known by `order_id`, and says nothing of the order's total: its amount is `refunded_value`,
  and matching knows whether that is all. One without a transaction that succeeded gives nothing
  back: items were taken out of an order, or restocked; one whose money is still on its way is asked
  for. A checkout has a link to the abandoned cart and no state.
- Renewals: orders that a subscription made have `source_name` `subscription_contract` (the first
  one, made at the checkout, another), and apps for subscriptions tag them as recurring.
- In person: `source_name` `pos`. The browser it names is the till's.
- Tests: `test` of an order or transaction; the panel's button sends samples of any resource with
  the header `X-Shopify-Test`.
- Lines cost their price less what their `discount_allocations` took off.
- Value: `total_price`, a decimal string in the shop's `currency`, with delivery and taxes.
  `current_total_price` falls with refunds and is not read.
- Time: RFC 3339 with the shop's offset; `processed_at` for an approval, `cancelled_at`, a refund's
  own.
- Keys are made of order and status; a refund has an id, and an order may have several.
- Client: `client_details`, else `browser_ip`. Tracking: `note_attributes` (names and values that
  the shop's script puts into the cart), then the query of `landing_site`.

Sources: Shopify's webhook and resource reference, as read by public adapters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, UnsetType

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
from sinal_hub.model.sale import Client, Product, Sale, Status, Tracking

NAME = "shopify"
SECRET_KEYS: tuple[str, ...] = ("webhookSecret",)
AUTHENTICATES = True
MEANINGLESS = frozenset({"refunds/create"})  # without money

STATES: dict[str, tuple[Status, str]] = {  # of `financial_status`, with the topic that tells it
    "pending": ("pending", "orders/create"),
    "authorized": ("pending", "orders/create"),
    "partially_paid": ("pending", "orders/create"),
    "paid": ("approved", "orders/paid"),
    "partially_refunded": ("partially_refunded", "orders/updated"),
    "refunded": ("refunded", "orders/updated"),
    "voided": ("canceled", "orders/cancelled"),
    "expired": ("expired", "orders/updated"),
}
RECURRING = "subscription_contract"
AT_A_TILL = "pos"
# as apps for subscriptions write it; `skin-renewal` and `renewal-sale` are a shop's own
_RECURRING_TAG = re.compile(
    r"\s*(recurring|renewal)\s*$|.*(recurring|renewal)[\W_]*(order|charge|payment|subscription)"
    r"|.*subscription[\W_]*(recurring|renewal)",
    re.IGNORECASE,
)
_FIRST_TAG = re.compile(r"first|initial", re.IGNORECASE)
_TRUST = ("click_id", "sinal_click_id", "xcod", "sck", "src")
_GATEWAYS = {"mercado_pago": "wallet", "manual": "other"}


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the app's or the shop's webhook secret signed these bytes."""
    given = _proof.header(headers, "x-shopify-hmac-sha256")
    return _proof.signed_base64(given, raw, _proof.secrets_of(secret, "webhookSecret"))


def is_test(headers: Mapping[str, str]) -> bool:
    """Whether the panel's button "send test notification" made the delivery: its samples are signed
    like any other.
    """
    return (_proof.header(headers, "x-shopify-test") or "").strip().lower() == "true"


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale.

    Raises NotThisGateway for a body that is not an order, refund or checkout of Shopify.
    """
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    if body.ident("order_id") and ("refund_line_items" in body or "order_adjustments" in body):
        return [_refund(body, reading)]
    if body.ident("id") is None:
        raise NotThisGateway("`id` is missing, and so is `order_id` of a refund")
    if "financial_status" in body and "line_items" in body:
        return [_order(body, reading)]
    if "abandoned_checkout_url" in body and "line_items" in body:
        return [_checkout(body, reading)]
    raise NotThisGateway(
        "`financial_status` of an order and `abandoned_checkout_url` of a checkout are missing"
    )


def _order(body: Node, reading: Reading) -> Sale:
    word = body.text("financial_status") or ""
    status, event = STATES.get(word, ("ignored", word))
    if body.raw("cancelled_at") is not None and status in ("pending", "approved"):
        status, event = "canceled", "orders/cancelled"
    return _whole(body, event, status, reading)


def _checkout(body: Node, reading: Reading) -> Sale:
    return _whole(body, "checkouts/create", "initiate_checkout", reading)


def _whole(body: Node, event: str, status: Status, reading: Reading) -> Sale:
    order, currency = body.ident("id"), _money.currency(body.text("currency"))
    value = _money.major(body.number("total_price"), currency)
    who = f"checkout-{order}" if status == "initiate_checkout" else order
    in_person = body.text("source_name") == AT_A_TILL
    products = [_product(item, currency) for item in body.nodes("line_items")]
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, who, status, _fact(body, event, status)),
        status=status,
        order_id=order,
        value=value,
        currency=currency if value is not None else None,
        method=_method(body),
        occurred_at=reading.occurred(_moment(body, status)),
        test=body.flag("test") is True,
        renewal=_is_renewal(body),
        products=_basket.fitted(products, value, currency, besides=_besides(body)),
        customer=reading.customer(_buyer(body)),
        tracking=_returned(body),
        client=Client() if in_person else _client(body),
        refunded_value=_refunded_so_far(body, status, currency),
        in_person=in_person or UNSET,
    )


def _is_renewal(body: Node) -> bool:
    """Whether a subscription made the order by itself."""
    tags = (body.text("tags") or "").split(",")
    recurring = any(_RECURRING_TAG.match(tag) and not _FIRST_TAG.search(tag) for tag in tags)
    return body.text("source_name") == RECURRING or recurring


def _besides(body: Node) -> Decimal:
    """What the total has in it that no line has: delivery, tips, and taxes that the prices do not
    include.
    """
    told = body.number("total_shipping_price_set", "shop_money", "amount")
    if told is None:
        told = sum(
            (line.number("price") or Decimal(0) for line in body.nodes("shipping_lines")),
            Decimal(0),
        )
    tax = (
        Decimal(0)
        if body.flag("taxes_included") is not False
        else body.number("total_tax") or Decimal(0)
    )
    return told + tax + (body.number("total_tip_received") or Decimal(0))


def _refunded_so_far(body: Node, status: Status, currency: str | None) -> str | UnsetType:
    """What has been given back of an order: its refunds where it lists them, else what its total
    has lost.
    """
    if status not in ("refunded", "partially_refunded"):
        return UNSET
    given_back = [
        _sum(_done(found))
        for refund in body.nodes("refunds")
        if (found := _given_back(refund)) is not None
    ]
    total, left = body.number("total_price"), body.number("current_total_price")
    if given_back:
        amount: Decimal | None = sum(given_back, Decimal(0))
    else:
        amount = None if total is None or left is None else total - left
    return _money.major(amount, currency) or UNSET if amount else UNSET


def _fact(body: Node, event: str, status: Status) -> str | None:
    """What tells two partial refunds of an order apart, seen from the order: how much is left of
    it.
    """
    if status == "partially_refunded":
        return body.text("current_total_price") or body.text("updated_at")
    return event if status == "ignored" else None


def _moment(body: Node, status: Status) -> datetime | None:
    names = {"approved": "processed_at", "canceled": "cancelled_at", "pending": "created_at"}
    special = body.raw(names.get(status, "updated_at"))
    return _time.first(special, body.raw("updated_at"), body.raw("created_at"))


def _method(body: Node) -> str | None:
    word = body.text("payment_gateway_names") or body.text("gateway")
    return None if word is None else _GATEWAYS.get(word) or _methods.method(word)


def _refund(body: Node, reading: Reading) -> Sale:
    order, given_back = body.ident("order_id"), _given_back(body)
    done = _done(given_back or [])
    status: Status = (
        "ignored"
        if given_back == []
        else "refund_requested"
        if given_back and not done
        else "refunded"
    )
    currency = next((_money.currency(node.text("currency")) for node in done), None)
    lines = [item.node("line_item") for item in body.nodes("refund_line_items")]
    refunded = _money.major(_sum(done), currency) if done else None
    return Sale(
        gateway=NAME,
        event="refunds/create",
        event_key=keys.event_key(NAME, order, status, f"refund-{body.ident('id') or refunded}"),
        status=status,
        order_id=order,
        currency=currency if refunded is not None else None,
        occurred_at=reading.occurred(_time.first(body.raw("processed_at"), body.raw("created_at"))),
        test=any(node.flag("test") is True for node in body.nodes("transactions")),
        products=[_product(line, currency) for line in lines if line.ident("product_id")],
        refunded_value=refunded or UNSET,
    )


def _given_back(body: Node) -> list[Node] | None:
    """The transactions by which money went back; None where the refund does not say."""
    if not isinstance(body.raw("transactions"), list):
        return None
    found = [
        node for node in body.nodes("transactions") if node.text("kind") in (None, "refund", "void")
    ]
    return [node for node in found if node.text("status") not in ("failure", "error")]


def _done(transactions: list[Node]) -> list[Node]:
    """Those whose money has gone back, and is not on its way."""
    return [
        node
        for node in transactions
        if node.text("status") != "pending" and node.number("amount") is not None
    ]


def _sum(transactions: list[Node]) -> Decimal:
    return sum((node.number("amount") or Decimal(0) for node in transactions), Decimal(0))


def _product(item: Node, currency: str | None) -> Product:
    quantity, price = max(1, item.integer("quantity") or 1), item.number("price")
    taken_off = item.nodes("discount_allocations")
    discount = _sum(taken_off) if taken_off else item.number("total_discount") or Decimal(0)
    return Product(
        id=item.ident("product_id"),
        name=item.text("title") or item.text("name"),
        offer_id=item.ident("variant_id"),
        quantity=quantity,
        value=None
        if price is None
        else _money.major(max(price * quantity - discount, Decimal(0)), currency),
    )


def _buyer(body: Node) -> identity.ClearUser:
    person = body.node("customer")
    address = (
        body.node("billing_address")
        or body.node("shipping_address")
        or person.node("default_address")
    )
    return identity.ClearUser(
        email=body.text("email") or body.text("contact_email") or person.text("email"),
        phones=phones(body.text("phone") or person.text("phone") or address.text("phone")),
        first_name=person.text("first_name") or address.text("first_name"),
        last_name=person.text("last_name") or address.text("last_name"),
        city=address.text("city"),
        state=address.text("province_code") or address.text("province"),
        zip=address.text("zip"),
        country=address.text("country_code") or address.text("country"),
    )


def _client(body: Node) -> Client:
    details = body.node("client_details")
    return _tracking.client(
        details.text("browser_ip") or body.text("browser_ip"), details.text("user_agent")
    )


def _returned(body: Node) -> Tracking:
    notes = {
        (note.text("name") or "").lower(): note.raw("value")
        for note in body.nodes("note_attributes")
    }
    return _tracking.read(
        [Node(notes), _tracking.query_of(body.text("landing_site"))], trust=_TRUST
    )
