"""Hotmart: webhook 2.0.0 (JSON) and 1.0.0 (form), authenticated by the account's `hottok`.

- Proof: header `X-HOTMART-HOTTOK`, or `hottok` in the body (older deliveries and 1.0.0); no
  signature exists. A header decides alone: a body cannot repair a wrong one.
- Value: `purchase.price` is what the product costs; `full_price` has the card's instalment interest
  in it (a real sale: 2626.56 for 1997.00) and stands in only for a sale in one instalment.
  Deliveries of 2022 and Hotmart's own sample have no currency beside it: then `full_price` tells
  it, the original offer of the same amount, or commissions that come to the price.
- Time: `approved_date` for an approval, else `creation_date` of the event; both are epoch
  milliseconds UTC.
- PURCHASE_BILLET_PRINTED is Pix and boleto alike; PURCHASE_COMPLETE repeats PURCHASE_APPROVED when
  the guarantee ends; PURCHASE_PROTEST asks for a refund that PURCHASE_REFUNDED reports later;
  PURCHASE_CANCELED with a `refusal_reason` is a card refused.
- A subscription's purchase of nothing is a trial that begins.
- A bump or upsell is a transaction and a delivery of its own that points to its parent.
- Tracking: only `xcod`, `sck` and `src` come back, trusted in this order; no UTM. Carts carry none.
- The event's UUID is not known to survive a retry, so keys are made of transaction and status.
- Test button: product id 0 (carts: another id), "Produto test postback2", transaction
  HP16015479281022.

Sources: Hotmart's webhook reference and captured deliveries of 2022-2026; statuses beyond the
events' own from public adapters.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _hotmart_form,
    _methods,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, country_code, phones, with_area, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Client, Product, Sale, Status, Tracking

NAME = "hotmart"
SECRET_KEYS: tuple[str, ...] = ("hottok",)
AUTHENTICATES = True

PURCHASES: dict[str, Status] = {
    "PURCHASE_BILLET_PRINTED": "pending",
    "PURCHASE_DELAYED": "overdue",
    "PURCHASE_APPROVED": "approved",
    "PURCHASE_COMPLETE": "completed",
    "PURCHASE_PROTEST": "refund_requested",
    "PURCHASE_REFUNDED": "refunded",
    "PURCHASE_CHARGEBACK": "chargeback",
    "PURCHASE_CANCELED": "canceled",
    "PURCHASE_EXPIRED": "expired",
}
SUBSCRIPTIONS: dict[str, Status] = {
    "SUBSCRIPTION_CANCELLATION": "subscription_canceled",
    "SWITCH_PLAN": "subscription_changed",
    "UPDATE_SUBSCRIPTION_CHARGE_DATE": "subscription_changed",
}
CART = "PURCHASE_OUT_OF_SHOPPING_CART"
MEANINGLESS = frozenset({"CLUB_FIRST_ACCESS", "CLUB_MODULE_COMPLETED"})
_KNOWN = PURCHASES.keys() | SUBSCRIPTIONS.keys() | MEANINGLESS | {CART}

_TRUST = ("xcod", "sck", "src")
_ROUNDING = Decimal("0.01")  # of the price, by which its commissions may miss it


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the delivery carries the account's hottok, in the header or, without one, in the
    body.
    """
    tokens = _proof.secrets_of(secret, "hottok")
    given = _proof.header(headers, "x-hotmart-hottok")
    if given is None:
        try:
            given = _body.load(raw).text("hottok")
        except NotThisGateway:
            return False
    return _proof.is_one_of(given, tokens)


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Hotmart."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    if _hotmart_form.is_delivery(body):
        return [_hotmart_form.sale(body, reading)]
    event = _event_of(body)
    if event in PURCHASES:
        return [_purchase(body, event, reading)]
    if event == CART:
        return [_cart(body, reading)]
    if event in SUBSCRIPTIONS:
        return [_subscription(body, event, reading)]
    return [_ignored(body, event, reading)]


def _event_of(body: Node) -> str:
    event = body.text("event")
    if event is None:
        raise NotThisGateway(
            "`event` is missing (2.0.0), and so are `transaction` and `status` (1.0.0)"
        )
    if not body.node("data"):
        raise NotThisGateway("`data` is missing or empty")
    marked = any(name in body for name in ("version", "creation_date", "creationDate"))
    if event not in _KNOWN and not (marked and event == event.upper()):
        raise NotThisGateway(
            "`event` is not a word of Hotmart's, and `version` and `creation_date` are missing"
        )
    return event


def _purchase(body: Node, event: str, reading: Reading) -> Sale:
    data, purchase = body.node("data"), body.node("data", "purchase")
    order = purchase.ident("transaction")
    if order is None:
        raise NotThisGateway("`data.purchase.transaction` is missing")
    value, currency = _price(data)
    subscribed = bool(data.node("subscription"))
    status = _subscriptions.status_of(_status(event, purchase), value, subscribed=subscribed)
    status, given = _refunds.given_back(status, value, currency, purchase)
    renewal = _subscriptions.is_later(purchase.integer("recurrence_number"))
    code = data.ident("subscription", "subscriber", "code")
    kept = _subscriptions.remembered(
        code, began=_subscriptions.began(status, value), renewal=renewal
    )
    approved = purchase.raw("approved_date") if status == "approved" else None
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, order, status, _refunds.fact(status, given)),
        status=status,
        order_id=order,
        parent_order_id=purchase.ident("order_bump", "parent_purchase_transaction"),
        value=value,
        currency=currency,
        method=_methods.method(purchase.text("payment", "type")),
        installments=purchase.integer("payment", "installments_number"),
        occurred_at=reading.occurred(
            _time.first(approved, body.raw("creation_date"), purchase.raw("order_date"))
        ),
        test=_is_test(body),
        renewal=renewal,
        products=_products(body, purchase.ident("offer", "code"), value),
        customer=reading.customer(_buyer(body)),
        tracking=_tracking.read([purchase.node("origin"), purchase], trust=_TRUST),
        client=_client(body),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _status(event: str, purchase: Node) -> Status:
    if event == "PURCHASE_CANCELED" and purchase.text("payment", "refusal_reason"):
        return "refused"
    if event == "PURCHASE_REFUNDED" and purchase.text("status") == "PARTIALLY_REFUNDED":
        return "partially_refunded"
    return PURCHASES[event]


def _price(data: Node) -> tuple[str | None, str | None]:
    purchase = data.node("purchase")
    names = ["price"]
    if (purchase.integer("payment", "installments_number") or 1) == 1:
        names.append("full_price")
    for name in names:
        value, currency = _told(purchase, name)
        if value is not None:
            return value, currency or _currency_beside(data, Decimal(value))
    return None, None


def _told(purchase: Node, name: str) -> tuple[str | None, str | None]:
    """One of the purchase's prices: an object with its currency, or an amount alone."""
    return _told_by(purchase.node(name) or Node({"value": purchase.raw(name)}))


def _told_by(price: Node) -> tuple[str | None, str | None]:
    codes = (price.text(spelling) for spelling in ("currency_value", "currency_code", "currency"))
    return _money.price(price, "value", default=_money.currency(next(filter(None, codes), None)))


def _currency_beside(data: Node, paid: Decimal) -> str | None:
    """The currency of a price that has none, where the same delivery tells it.

    `full_price` is of the same buyer. The offer and the commissions may be in the producer's
    currency: they tell the buyer's where they come to the same amount, or where it is reais that a
    buyer in Brazil pays.
    """
    purchase = data.node("purchase")
    currency = _told(purchase, "full_price")[1]
    offered, offers_currency = _told(purchase, "original_offer_price")
    if currency is None and offered is not None and Decimal(offered) == paid:
        currency = offers_currency
    return currency or _currency_of_commissions(data, paid)


def _currency_of_commissions(data: Node, paid: Decimal) -> str | None:
    shares = [_told_by(share) for share in data.nodes("commissions")]
    codes = {code for _, code in shares}
    if len(codes) != 1 or None in codes:
        return None
    whole = sum((Decimal(share) for share, _ in shares if share is not None), Decimal(0))
    at_home = codes == {"BRL"} and data.text("purchase", "checkout_country", "iso") == "BR"
    return codes.pop() if at_home or abs(whole - paid) <= paid * _ROUNDING else None


def _cart(body: Node, reading: Reading) -> Sale:
    data = body.node("data")
    offer = data.ident("offer", "code")
    buyer = _buyer(body)
    # A cart has no id: who, what and when tell one from another, and only their digest is kept.
    who = (buyer.email, buyer.phones, buyer.full_name)
    cart = keys.fingerprint(
        who, data.ident("product", "id"), offer, body.text("creation_date") or body.text("id")
    )
    return Sale(
        gateway=NAME,
        event=CART,
        event_key=keys.event_key(NAME, cart, "initiate_checkout"),
        status="initiate_checkout",
        order_id=None,
        occurred_at=reading.occurred(_time.instant(body.raw("creation_date"))),
        test=_is_test(body),
        products=_products(body, offer, None),
        customer=reading.customer(buyer),
        tracking=_tracking.read(
            [data.node("origin"), data.node("purchase", "origin")], trust=_TRUST
        ),
        client=_client(body),
    )


def _subscription(body: Node, event: str, reading: Reading) -> Sale:
    data, status = body.node("data"), SUBSCRIPTIONS[event]
    subscriber = data.ident("subscriber", "code") or data.ident(
        "subscription", "subscriber", "code"
    )
    moment = (
        data.text("cancellation_date")
        or data.text("switch_plan_date")
        or body.text("creation_date")
    )
    fact = keys.fingerprint(event, moment or body.text("id"), data.ident("subscription", "id"))
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, subscriber, status, fact),
        status=status,
        order_id=None,
        occurred_at=reading.occurred(
            _time.first(body.raw("creation_date"), data.raw("cancellation_date"))
        ),
        test=_is_test(body),
        products=_products(body, data.ident("plan", "offer", "code"), None),
        customer=reading.customer(_buyer(body)),
        tracking=Tracking(),
    )


def _ignored(body: Node, event: str, reading: Reading) -> Sale:
    """An event without meaning to us, or one that is new: who it is about is not kept."""
    order = body.ident("data", "purchase", "transaction")
    fact = None if order else body.ident("id") or keys.fingerprint(body.text("creation_date"))
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, order or fact, "ignored", event),
        status="ignored",
        order_id=order,
        occurred_at=reading.occurred(
            _time.first(body.raw("creation_date"), body.raw("creationDate"))
        ),
        test=_is_test(body),
        products=_products(body, None, None),
    )


def _products(body: Node, offer: str | None, value: str | None) -> list[Product]:
    product = body.node("data", "product")
    found = Product(id=product.ident("id"), name=product.text("name"), offer_id=offer, value=value)
    return [found] if found.id or found.name or found.offer_id else []


def _buyer(body: Node) -> identity.ClearUser:
    """`buyer` of a purchase or cart, `subscriber` of a subscription."""
    data = body.node("data")
    buyer = data.node("buyer") or data.node("subscriber")
    checkout = with_area(buyer.text("checkout_phone_code"), buyer.text("checkout_phone"))
    country = buyer.text("address", "country_iso") or buyer.text("address", "country")
    return identity.ClearUser(
        email=buyer.text("email"),
        phones=phones(with_country(country_code(buyer), checkout or buyer.text("phone"))),
        first_name=buyer.text("first_name"),
        last_name=buyer.text("last_name"),
        full_name=buyer.text("name"),
        city=buyer.text("address", "city"),
        state=buyer.text("address", "state"),
        zip=buyer.text("address", "zipcode"),
        country=country
        or data.text("purchase", "checkout_country", "iso")
        or data.text("checkout_country", "iso"),
    )


def _client(body: Node) -> Client:
    data = body.node("data")
    return _tracking.client_of(data, data.node("purchase"), data.node("buyer"))


def _is_test(body: Node) -> bool:
    data = body.node("data")
    return (
        data.integer("product", "id") == 0
        or (data.text("product", "name") or "").startswith(_hotmart_form.TEST_PRODUCT)
        or data.text("purchase", "transaction") == _hotmart_form.TEST_TRANSACTION
    )
