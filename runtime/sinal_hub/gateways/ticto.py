"""Ticto: webhook 2.0, JSON, authenticated by the account's `token` in the body.

- Proof: `token` at the root, compared; there is no signature.
- Status: `status`. A trial (`trial`, `trial_started`, `trial_ended`) has cost nothing yet;
  `claimed` asks for the money back.
- Value: `order.paid_amount` in cents, in reais; `item.amount` where there is no order yet.
- `address.is_mock`: the product needs no address and Ticto filled in one of its own, the same for
  every buyer.
- "Não Informado" is Ticto's word for nothing, anywhere.
- Time: naive local; `status_date`, else `order.order_date`.
- No event id: key is order, item and status, since a bump may come under its main order.
- Tracking: `tracking` (src, sck, UTM) and `query_params`, with all that the link had, also `fbc`
  and `fbp`.

Sources: public adapters with captured fields.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _methods,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones, with_area, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "ticto"
SECRET_KEYS: tuple[str, ...] = ("token",)
AUTHENTICATES = True
MEANINGLESS: frozenset[str] = frozenset()
CURRENCY = "BRL"

STATUSES: dict[str, Status] = {
    "abandoned_cart": "initiate_checkout",
    "waiting_payment": "pending",
    "pix_created": "pending",
    "bank_slip_created": "pending",
    "authorized": "approved",
    "approved": "approved",
    "refused": "refused",
    "pix_expired": "expired",
    "bank_slip_delayed": "overdue",
    "claimed": "refund_requested",
    "refunded": "refunded",
    "chargeback": "chargeback",
    "trial": "subscription_changed",
    "trial_started": "subscription_changed",
    "trial_ended": "subscription_changed",
    "subscription_canceled": "subscription_canceled",
    "subscription_delayed": "subscription_past_due",
    "card_exchanged": "subscription_changed",
    "uncanceled": "subscription_changed",
    "all_charges_paid": "subscription_changed",
    "extended": "subscription_changed",
    "close": "subscription_canceled",
}
_MARKS = ("token", "version", "commission_type", "status_date", "query_params")
_ENDINGS: dict[str, Status] = {"_created": "pending", "_expired": "expired", "_delayed": "overdue"}
_TRIALS = ("trial", "trial_started")  # a trial that begins
_NOTHING = ("não informado", "nao informado")
_TRUST = ("click_id", "sck", "src", "xcod")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the body carries the account's token."""
    try:
        given = _body.load(raw).text("token")
    except NotThisGateway:
        return False
    return _proof.is_one_of(given, _proof.secrets_of(secret, "token"))


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Ticto."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    word = body.text("status")
    if word is None:
        raise NotThisGateway("`status` is missing")
    if not any(body.node(name) for name in ("order", "item", "customer")):
        raise NotThisGateway("`order`, `item` and `customer` are missing")
    marks = sum(mark in body for mark in _MARKS)
    # a word that is new needs a second mark: many gateways have a `status`, and Perfect Pay a
    # `token`
    if marks < (1 if word in STATUSES else 2):
        raise NotThisGateway(
            "`status` is not a word of Ticto's, or `version` and `token` are missing"
        )
    order = _order(body)
    if order is None and STATUSES.get(word) == "approved":
        raise NotThisGateway("`order.hash` is missing")
    return [_sale(_without_nothing(body), word, order, reading)]


def _order(body: Node) -> str | None:
    order = body.node("order")
    return order.ident("hash") or order.ident("id") or order.ident("transaction_hash")


def _without_nothing(body: Node) -> Node:
    """The body without the fields that say "Não Informado"."""

    def cleaned(value: object) -> object:
        if isinstance(value, dict):
            return {name: cleaned(below) for name, below in value.items()}
        if isinstance(value, list):
            return [cleaned(below) for below in value]
        return None if isinstance(value, str) and value.strip().lower() in _NOTHING else value

    return Node({name: cleaned(body.raw(name)) for name in body})


def _sale(body: Node, word: str, order: str | None, reading: Reading) -> Sale:
    item, details = body.node("item"), body.node("order")
    paid, currency = details.number("paid_amount"), _currency(details, item)
    value = _money.cents(item.number("amount") if paid is None else paid, currency)
    subscribed = bool(body.nodes("subscriptions"))
    status = _subscriptions.status_of(_status(word), value, subscribed=subscribed)
    status, given = _refunds.given_back(status, value, currency, details, body, in_cents=True)
    fact = _fact(body, status) or _refunds.fact(status, given)
    later = _is_later_charge(body)
    began = word in _TRIALS or _subscriptions.began(status, value)
    kept = _subscriptions.remembered(_subscription(body), began=began, renewal=later)
    return Sale(
        gateway=NAME,
        event=word,
        event_key=keys.event_key(
            NAME, order or _cart(body), item.ident("product_id"), status, fact
        ),
        status=status,
        order_id=order,
        value=value,
        currency=currency if value is not None else None,
        method=_methods.method(body.text("payment_method")),
        installments=details.integer("installments"),
        occurred_at=reading.occurred(
            _time.first(body.raw("status_date"), details.raw("order_date"))
        ),
        renewal=status == "approved" and later,
        products=_products(item, value, currency),
        customer=reading.customer(_buyer(body.node("customer"))),
        tracking=_tracking.read(_slots(body), trust=_TRUST),
        client=_tracking.client_of(body.node("customer"), details, _params(body)),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _status(word: str) -> Status:
    """A word's meaning.

    Ways to pay that are new by how their words end, trials by how they begin.
    """
    if (status := STATUSES.get(word)) is not None:
        return status
    if word.startswith("trial"):
        return "subscription_changed"
    ways = () if word.startswith("subscription") else _ENDINGS.items()
    return next((meaning for ending, meaning in ways if word.endswith(ending)), "ignored")


def _currency(*nodes: Node) -> str | None:
    return _money.currency_of(*(node.text("currency") for node in nodes), default=CURRENCY)


def _fact(body: Node, status: Status) -> str | None:
    """A subscription's notices repeat, months apart; words that are new may do anything."""
    if status == "ignored" or status.startswith("subscription_"):
        return keys.fingerprint(body.text("status"), body.text("status_date"))
    return None


def _cart(body: Node) -> str:
    buyer = _buyer(body.node("customer"))
    return keys.fingerprint(
        buyer.email, buyer.phones, body.text("checkout_url"), body.text("status_date")
    )


def _subscription(body: Node) -> str | None:
    told = (
        node.ident("id") or node.ident("code") or node.ident("hash")
        for node in body.nodes("subscriptions")
    )
    return next(filter(None, told), None)


def _is_later_charge(body: Node) -> bool:
    return _subscriptions.is_later(
        *(node.integer("successful_charges") for node in body.nodes("subscriptions"))
    )


def _params(body: Node) -> Node:
    return body.node("query_params") or body.node("url_params", "query_params")


def _slots(body: Node) -> list[Node]:
    return [_params(body), body.node("tracking"), _tracking.query_of(body.text("checkout_url"))]


def _products(item: Node, value: str | None, currency: str | None) -> list[Product]:
    amount = _money.cents(item.number("amount"), currency)
    found = Product(
        id=item.ident("product_id"),
        name=item.text("product_name"),
        offer_id=item.ident("offer_code") or item.ident("offer_id"),
        quantity=max(1, item.integer("quantity") or 1),
        value=value if amount is None else _money.shared([amount], value, currency)[0],
    )
    return [found] if found.id or found.offer_id else []


def _buyer(customer: Node) -> identity.ClearUser:
    phone, address = customer.node("phone"), customer.node("address")
    number = with_country(phone.text("ddi"), with_area(phone.text("ddd"), phone.text("number")))
    if address.flag("is_mock"):
        address = Node({"country": address.raw("country")})
    return identity.ClearUser(
        email=customer.text("email"),
        phones=phones(number or customer.text("phone")),
        full_name=customer.text("name"),
        city=address.text("city"),
        state=address.text("state"),
        zip=address.text("zip_code"),
        country=address.text("country"),
    )
