"""Braip: one JSON or form postback per change, authenticated by the account's key in
`basic_authentication` of the body.

- Status: `trans_status_code`, a number or a string, whatever the `type` (BOLETO_ALTERADO and
  VENDA_COMPLETA repeat a sale and share its key); without a code the word in `trans_status`.
  ABANDONO is a cart.
- Value: `trans_value` in cents, the price of the sale; `trans_total_value` has the card's
  instalment interest in it. What the buyer got off (`trans_discount_value`) is got off each item,
  where the items come to more than the value. Bumps come in the same postback as `trans_items`.
  Whether `trans_value` has them in it is not documented: they are listed as products and never
  added, since a bump counted twice would teach Meta a value nobody paid.
- Time: naive local; `trans_payment_date` for an approval, else `trans_updatedate`.
- No event id: key is sale, status and code, since five codes mean pending.
- Tracking: `meta.src` and UTM, `fbclid`, `fbc`; where `meta` is missing, the query of the checkout
  link.

Sources: public adapters in agreement with each other, and test postbacks; no official page could be
read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status, Tracking

NAME = "braip"
SECRET_KEYS: tuple[str, ...] = ("basicAuthentication",)
AUTHENTICATES = True
MEANINGLESS: frozenset[str] = frozenset()

STATUSES: dict[int, Status] = {
    1: "pending",
    2: "approved",
    3: "canceled",
    4: "chargeback",
    5: "refunded",
    6: "pending",  # under analysis
    7: "refund_requested",
    8: "pending",  # processing
    9: "pending",  # partially paid
    10: "overdue",
    11: "pending",  # cash on delivery, scheduled
    12: "canceled",  # delivery failed
}
WORDS = {
    "aguardando pagamento": 1,
    "pagamento aprovado": 2,
    "cancelada": 3,
    "chargeback": 4,
    "devolvida": 5,
    "em analise": 6,
    "estorno pendente": 7,
    "em processamento": 8,
    "parcialmente pago": 9,
    "pagamento atrasado": 10,
    "agendado": 11,
    "frustrada": 12,
}
PAYMENTS = {1: "boleto", 2: "credit_card", 3: "boleto", 4: "free", 5: "pix", 6: "other"}
CART = "ABANDONO"
SALES = frozenset({"STATUS_ALTERADO", "BOLETO_ALTERADO", "VENDA_COMPLETA"})
_TRUST = ("src", "sck", "xcod")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the body carries the account's key."""
    try:
        given = _body.load(raw).text("basic_authentication")
    except NotThisGateway:
        return False
    return _proof.is_one_of(given, _proof.secrets_of(secret, "basicAuthentication"))


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a postback of Braip."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    kind = body.text("type")
    if kind is None:
        raise NotThisGateway("`type` is missing")
    if body.ident("trans_key"):
        return [_sale(body, kind, reading)]
    if kind == CART and ("abandonment_key" in body or "product_key" in body):
        return [_cart(body, reading)]
    if body.ident("subs_key"):
        return [_subscription(body, kind, reading)]
    if "basic_authentication" in body and kind not in SALES:
        return [_ignored(raw, body, kind, reading)]
    raise NotThisGateway("`trans_key`, `abandonment_key` and `subs_key` are missing")


def _sale(body: Node, kind: str, reading: Reading) -> Sale:
    order, code = body.ident("trans_key"), _code(body)
    currency = _money.currency_of(body.text("currency"), default="BRL")
    value = _money.cents(body.number("trans_value"), currency)
    status: Status = STATUSES.get(code, "ignored") if code is not None else "ignored"
    status = _subscriptions.status_of(status, value, subscribed=body.ident("subs_key") is not None)
    status, given = _refunds.given_back(status, value, currency, body, in_cents=True)
    payment = body.integer("trans_payment")
    return Sale(
        gateway=NAME,
        event=kind,
        event_key=keys.event_key(
            NAME, order, status, kind if code is None else str(code), _refunds.fact(status, given)
        ),
        status=status,
        order_id=order,
        # a main sale names itself, or 0
        parent_order_id=None
        if body.ident("parent_sale") in ("0", order)
        else body.ident("parent_sale"),
        value=value,
        currency=currency if value is not None else None,
        method=None if payment is None else PAYMENTS.get(payment, "other"),
        installments=body.integer("trans_installments"),
        occurred_at=reading.occurred(_moment(body, status)),
        products=_products(body, value, currency),
        customer=reading.customer(_buyer(body)),
        tracking=_returned(body),
        client=_tracking.client_of(body, body.node("meta")),
        refunded_value=given,
    )


def _code(body: Node) -> int | None:
    code = body.integer("trans_status_code")
    return WORDS.get(_folded(body.text("trans_status"))) if code is None else code


def _folded(text: str | None) -> str:
    plain = unicodedata.normalize("NFKD", text or "").encode("ascii", "ignore").decode().lower()
    return " ".join("".join(c if c.isalpha() else " " for c in plain).split())


def _moment(body: Node, status: Status) -> datetime | None:
    paid = body.raw("trans_payment_date") if status == "approved" else None
    return _time.first(paid, body.raw("trans_updatedate"), body.raw("trans_createdate"))


def _cart(body: Node, reading: Reading) -> Sale:
    cart = body.ident("abandonment_key")
    who = (
        body.text("client_email"),
        body.text("client_cel"),
        body.ident("plan_key"),
        body.text("trans_createdate"),
    )
    return Sale(
        gateway=NAME,
        event=CART,
        event_key=keys.event_key(NAME, cart or keys.fingerprint(who), "initiate_checkout"),
        status="initiate_checkout",
        order_id=cart,
        occurred_at=reading.occurred(_moment(body, "initiate_checkout")),
        products=_products(body, None, None),
        customer=reading.customer(_buyer(body)),
        tracking=_returned(body),
        client=_tracking.client_of(body, body.node("meta")),
    )


def _subscription(body: Node, kind: str, reading: Reading) -> Sale:
    """A subscription's own postback; its words are known by their stems only."""
    word = _folded(body.text("subs_status"))
    status: Status = "subscription_changed"
    if "cancel" in word:
        status = "subscription_canceled"
    elif "atras" in word or "vencid" in word:
        status = "subscription_past_due"
    updated = body.text("subs_updatedate") or body.text("trans_updatedate")
    fact = keys.fingerprint(
        kind, word, body.text("subs_status_code"), body.text("subs_attempts"), updated
    )
    return Sale(
        gateway=NAME,
        event=kind,
        event_key=keys.event_key(NAME, body.ident("subs_key"), status, fact),
        status=status,
        order_id=None,
        occurred_at=reading.occurred(_time.first(updated)),
        products=_products(body, None, None),
        customer=reading.customer(_buyer(body)),
        tracking=_returned(body),
    )


def _ignored(raw: bytes, body: Node, kind: str, reading: Reading) -> Sale:
    return Sale(
        gateway=NAME,
        event=kind,
        event_key=keys.event_key(NAME, keys.body_fingerprint(raw), "ignored"),
        status="ignored",
        order_id=None,
        occurred_at=reading.occurred(_moment(body, "ignored")),
    )


def _products(body: Node, value: str | None, currency: str | None) -> list[Product]:
    listed = [
        item
        for item in body.nodes("trans_items")
        if item.ident("product_key") or item.ident("plan_key")
    ]
    # the main product first: its line takes the cents that a division leaves over
    listed.sort(key=lambda item: item.flag("main") is not True)
    lines = [_money.cents(item.number("plan_value"), currency) for item in listed]
    if (body.number("trans_discount_value") or 0) > 0:
        lines = _money.shared(lines, value, currency)
    if listed:
        return [
            Product(
                id=item.ident("product_key"),
                name=item.text("product_name") or item.text("plan_name"),
                offer_id=item.ident("plan_key"),
                value=line,
            )
            for item, line in zip(listed, lines, strict=True)
        ]
    main = Product(
        id=body.ident("product_key"),
        name=body.text("product_name"),
        offer_id=body.ident("plan_key"),
        value=value,
    )
    return [main] if main.id or main.offer_id else []


def _returned(body: Node) -> Tracking:
    links = [
        _tracking.query_of(body.text(name))
        for name in ("trans_payment_link_checkout", "checkout_url")
    ]
    return _tracking.read([body.node("meta"), body.node("subs_meta"), body, *links], trust=_TRUST)


def _buyer(body: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=body.text("client_email"),
        phones=phones(body.text("client_cel")),
        full_name=body.text("client_name"),
        city=body.text("client_address_city") or body.text("client_city"),
        state=body.text("client_address_state") or body.text("client_state"),
        zip=body.text("client_zip_code")
        or body.text("client_address_zip_code")
        or body.text("zip_code"),
        country=body.text("client_address_country"),
    )
