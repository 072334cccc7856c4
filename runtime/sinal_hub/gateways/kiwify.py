"""Kiwify: orders and abandoned carts as JSON, signed with the webhook's token.

- Proof: `signature` in the query = lower-case hex HMAC-SHA1 of the raw body; wrapped deliveries are
  also signed over the bytes of `order` alone, in the query or in the wrapper. The last `signature=`
  of the URL counts: the registered URL may hold one already. Without a token the key would be empty
  and the signature prove nothing, so such a webhook is refused.
- Value: `Commissions.charge_amount` in cents, in the currency of the product's price (`currency` is
  that of the commissions).
- Time: naive local; `approved_date`, `refunded_at`, else `updated_at`.
- A renewal has an order id of its own and fires order_approved besides subscription_renewed; both
  name the same order. It is told by earlier charges in `Subscription.charges.completed` that cost
  something, which a trial does not.
- A refund that is only asked for has the refund's event and `pending_refund` in `order_status`.
- Products share ids between offers; `checkout_link` tells them apart.
- Tracking: `sck`, `src`, `s1`-`s3` and UTM come back in `TrackingParameters`; a value may be a
  list.
- Test button: John Doe, or the placeholder product without the slots s1-s3 that every real order
  has.

Sources: Kiwify's "receiving webhooks" page (signature, triggers), captured deliveries of 2024-2026
(wrapper, fields).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _methods,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._kiwify_envelope import Envelope, open_envelope
from sinal_hub.gateways._reading import Reading, country_code, phones, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "kiwify"
SECRET_KEYS: tuple[str, ...] = ("token",)
AUTHENTICATES = True
MEANINGLESS: frozenset[str] = frozenset()

EVENTS: dict[str, Status] = {
    "billet_created": "pending",
    "pix_created": "pending",
    "order_rejected": "refused",
    "order_approved": "approved",
    "order_refunded": "refunded",
    "chargeback": "chargeback",
    "subscription_canceled": "subscription_canceled",
    "subscription_late": "subscription_past_due",
    "subscription_renewed": "subscription_renewed",
    # The panel's own words for the same triggers.
    "boleto_gerado": "pending",
    "pix_gerado": "pending",
    "compra_recusada": "refused",
    "compra_aprovada": "approved",
    "compra_reembolsada": "refunded",
}
ORDER_STATUSES: dict[str, Status] = {  # for a delivery without an event
    "waiting_payment": "pending",
    "pending": "pending",
    "processing": "pending",
    "authorized": "pending",
    "approved": "approved",
    "paid": "approved",
    "refused": "refused",
    "expired": "expired",
    "pending_refund": "refund_requested",
    "refund_requested": "refund_requested",
    "refunded": "refunded",
    "chargedback": "chargeback",
}
CART = "carrinho_abandonado"
_ENDINGS: dict[str, Status] = {  # of a way to pay, whatever its name: pix_created, boleto_gerado, …
    "_created": "pending",
    "_gerado": "pending",
    "_expired": "expired",
    "_expirado": "expired",
}

_TRUST = ("sck", "src", "s1", "s2", "s3")
_TEST_EMAIL = "johndoe@example.com"
_TEST_PRODUCT = "Example product"

_NO_WAYS = ("subscription", "order", "assinatura")  # words that end alike and mean something else

SignatureForm = Literal["body", "order", "wrapper"]


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the delivery is signed with the webhook's token, in any of the forms Kiwify is known
    to use.
    """
    return signature_form(raw, query, secret) is not None


def signature_form(
    raw: bytes, query: Mapping[str, str], secret: Mapping[str, str]
) -> SignatureForm | None:
    """Which part was signed: the raw body, its `order` by the query, or its `order` by the wrapper.

    None for none.
    """
    tokens = _proof.secrets_of(secret, "token")
    given = _signature(query)
    if given and _signed(raw, given, tokens):
        return "body"
    try:
        envelope = open_envelope(raw)
    except NotThisGateway:
        return None
    if not envelope.wrapped:
        return None
    if given and _signed(envelope.inner, given, tokens):
        return "order"
    return (
        "wrapper"
        if envelope.signature and _signed(envelope.inner, envelope.signature, tokens)
        else None
    )


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Kiwify."""
    envelope, reading = open_envelope(raw), Reading(country=country, clear=clear, now=now)
    body = envelope.fields()
    if _is_cart(envelope, body):
        return [_cart(body, reading)]
    if body.ident("order_id") is None:
        raise NotThisGateway("`order_id` is missing, and so is `status` of an abandoned cart")
    if body.text("webhook_event_type") is None and body.text("order_status") is None:
        raise NotThisGateway("`webhook_event_type` and `order_status` are missing")
    return [_order(body, reading)]


def _signature(query: Mapping[str, str]) -> str | None:
    """The last `signature` of the URL, also where Kiwify put it behind a second question mark."""
    many = getattr(query, "getall", None) or getattr(query, "getlist", None)
    found: list[str] = []
    for name in dict.fromkeys(query):
        for value in (many(name) if many else [query[name]]) or []:
            _, mark, signature = str(value).rpartition("?signature=")
            if mark or name == "signature":
                found.append(signature)
    # which tells who watches that it is not there
    return found[-1].strip() if found else query.get("signature")


def _signed(message: bytes, given: str, tokens: list[bytes]) -> bool:
    # SHA-1 is Kiwify's choice; what is broken in it, its collisions, does not help against an HMAC
    digests = [hmac.new(token, message, hashlib.sha1).hexdigest() for token in tokens]
    return any([_proof.same_hex(given, digest) for digest in digests])


def _is_cart(envelope: Envelope, body: Node) -> bool:
    if body.ident("order_id") is not None:
        return False
    abandoned = body.text("status") == "abandoned" or envelope.wrapped
    return abandoned and any(name in body for name in ("checkout_link", "product_id", "store_id"))


def _cart(body: Node, reading: Reading) -> Sale:
    cart, created = body.ident("id"), body.text("created_at")
    fact = cart or keys.fingerprint(
        body.text("email"), body.text("phone"), body.ident("product_id"), created
    )
    product = Product(
        id=body.ident("product_id"),
        name=body.text("product_name"),
        offer_id=body.ident("checkout_link"),
    )
    buyer = identity.ClearUser(
        email=body.text("email"),
        phones=phones(body.text("phone")),
        full_name=body.text("name"),
        country=body.text("country"),
    )
    return Sale(
        gateway=NAME,
        event=CART,
        event_key=keys.event_key(NAME, fact, "initiate_checkout"),
        status="initiate_checkout",
        order_id=cart,
        occurred_at=reading.occurred(_time.instant(created)),
        test=_is_test(body.text("email"), product.name, body),
        products=[product] if product.id or product.name else [],
        customer=reading.customer(buyer),
        tracking=_tracking.read([body.node("TrackingParameters"), body], trust=_TRUST),
        client=_tracking.client_of(body),
    )


def _order(body: Node, reading: Reading) -> Sale:
    order, word = body.ident("order_id"), body.text("webhook_event_type")
    event, state = (
        word or body.text("order_status") or "",
        ORDER_STATUSES.get(body.text("order_status") or ""),
    )
    value, currency = _price(body.node("Commissions"))
    subscribed = bool(body.node("Subscription")) or body.ident("subscription_id") is not None
    status = _subscriptions.status_of(_status(event, word, state), value, subscribed=subscribed)
    status, given = _refunds.given_back(
        status, value, currency, body, body.node("Commissions"), in_cents=True
    )
    renewal = status == "subscription_renewed" or _has_earlier_charge(body, order)
    subscription = body.ident("subscription_id") or body.ident("Subscription", "id")
    kept = _subscriptions.remembered(
        subscription, began=_subscriptions.began(status, value), renewal=renewal
    )
    customer, tracking = body.node("Customer"), body.node("TrackingParameters")
    product = _product(body, value)
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(
            NAME, order, status, event if status == "ignored" else _refunds.fact(status, given)
        ),
        status=status,
        order_id=order,
        value=value,
        currency=currency,
        method=_methods.method(body.text("payment_method")),
        installments=body.integer("installments"),
        occurred_at=reading.occurred(_moment(body, status)),
        test=_is_test(customer.text("email"), product.name, tracking),
        renewal=renewal,
        products=[product] if product.id or product.name else [],
        customer=reading.customer(_buyer(customer)),
        tracking=_tracking.read([tracking], trust=_TRUST),
        client=_tracking.client_of(customer),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _status(event: str, word: str | None, state: Status | None) -> Status:
    if word is None:
        return state or "ignored"
    if (status := EVENTS.get(event)) is None:
        ways = () if event.startswith(_NO_WAYS) else _ENDINGS.items()
        return next((meaning for ending, meaning in ways if event.endswith(ending)), "ignored")
    return "refund_requested" if status == "refunded" and state == "refund_requested" else status


def _price(commissions: Node) -> tuple[str | None, str | None]:
    amount = commissions.number("charge_amount")
    if amount is None:
        amount = commissions.number("product_base_price")
    if amount is None:
        return None, None
    told = (commissions.text("product_base_price_currency"), commissions.text("currency"))
    currency = _money.currency_of(*told, default="BRL")
    return _money.cents(amount, currency), currency


def _product(body: Node, value: str | None) -> Product:
    product = body.node("Product")
    offer = body.ident("checkout_link") or product.ident("product_offer_id")
    return Product(
        id=product.ident("product_id"),
        name=product.text("product_name"),
        offer_id=offer,
        value=value,
    )


def _moment(body: Node, status: Status) -> datetime | None:
    names = {
        "approved": "approved_date",
        "refunded": "refunded_at",
        "partially_refunded": "refunded_at",
    }
    special = body.raw(names[status]) if status in names else None
    return _time.first(
        special, body.raw("updated_at"), body.raw("approved_date"), body.raw("created_at")
    )


def _has_earlier_charge(body: Node, order: str | None) -> bool:
    charges = body.nodes("Subscription", "charges", "completed")
    return any(
        charge.ident("order_id") not in (None, order) and charge.number("amount") != 0
        for charge in charges
    )


def _buyer(customer: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=customer.text("email"),
        phones=phones(
            with_country(country_code(customer), customer.text("mobile") or customer.text("phone"))
        ),
        first_name=customer.text("first_name"),
        full_name=customer.text("full_name"),
        city=customer.text("city"),
        state=customer.text("state"),
        zip=customer.text("zipcode"),
        country=customer.text("country"),
    )


def _is_test(email: str | None, product: str | None, slots: Node) -> bool:
    return (email or "").lower() == _TEST_EMAIL or (product == _TEST_PRODUCT and "s1" not in slots)
