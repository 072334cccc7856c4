"""Appmax: JSON per event in one of five content models.

Nothing in a delivery proves where it comes from.

- Proof: none. No signature, no token; the unguessable segment of the webhook's URL is the only
  check.
- Status by event. OrderPaid comes when the payment is authorised (antifraud still to decide:
  pending) and again when it is approved; OrderApproved, OrderPaidByPix and OrderIntegrated repeat
  the approval of the same order and share its key. The refusal's event has its reason behind a bar.
- Value: `total` less `interest`, the card's instalment interest; always BRL. `full_payment_amount`
  is something else.
- A one-click upsell keeps the order's id and raises its total (the total is in the key); a
  telesales upsell is an order of its own that points to its parent with `upsell_order_id`.
- Time: naive local; `paid_at` for an approval, `refunded_at` for a refund, else `created_at`, the
  only one there is.
- Tracking: `visit` (an empty list when empty), `customer.last_visit`, the query of
  `customer.visited_url`.
- Events of a customer carry no order: `data.id` is the customer's.

Sources: Appmax's example receiver and webhook test bodies of 2020 and 2026, copies of its help
pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, UnsetType

from sinal_hub import identity
from sinal_hub.gateways import NotThisGateway, _basket, _body, _methods, _money, _time, _tracking
from sinal_hub.gateways._appmax_models import AppmaxDelivery
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status, Tracking

NAME = "appmax"
SECRET_KEYS: tuple[str, ...] = ()
AUTHENTICATES = False
CURRENCY = "BRL"

# lower case without underscores, as both spellings of the models have it
EVENTS: dict[str, Status] = {
    "customercreated": "lead",
    "customerinterested": "initiate_checkout",
    "customercontacted": "ignored",
    "orderbilletcreated": "pending",
    "orderpixcreated": "pending",
    "orderauthorized": "pending",
    "orderauthorizedwithdelay": "pending",
    "orderapproved": "approved",
    "orderpaid": "approved",
    "orderpaidbypix": "approved",
    "orderintegrated": "approved",
    "orderupsold": "approved",
    "orderpendingintegration": "ignored",
    "paymentnotauthorized": "refused",
    "paymentnotauthorizedwithdelay": "refused",
    "orderbilletoverdue": "expired",
    "orderpixexpired": "expired",
    "orderrefund": "refunded",
    "orderpartialrefund": "partially_refunded",
    "orderchargebackintreatment": "chargeback",
    "orderchargebackgain": "chargeback_won",
    "chargesuccess": "ignored",
    "chargefailed": "ignored",
    "createdsubscription": "subscription_changed",
    "canceledsubscription": "subscription_canceled",
    "subscriptioncancellationevent": "subscription_canceled",
    "subscriptiondelayedevent": "subscription_past_due",
}
MEANINGLESS = frozenset(
    {"CustomerContacted", "OrderPendingIntegration", "ChargeSuccess", "ChargeFailed"}
)

_TRUST = ("click_id", "sck", "src", "xcod")
_CUSTOM_VARIABLES = 5
_AUTHORISED = "autorizado"
_PRODUCTION = frozenset({"production", "prod", "live", "producao", "produção"})


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """True: there is nothing to check, the caller must have checked the token in the URL."""
    return True


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Appmax."""
    delivery, reading = (
        AppmaxDelivery(_body.load(raw)),
        Reading(country=country, clear=clear, now=now),
    )
    status = _status(delivery)
    if status == "ignored":
        return [_ignored(raw, delivery, reading)]
    if delivery.is_customer:
        return [_of_customer(raw, delivery, status, reading)]
    if delivery.order.ident("id") is None:
        raise NotThisGateway("`data.id` and `data.order_id` are missing")
    return [_of_order(delivery, status, reading)]


def _status(delivery: AppmaxDelivery) -> Status:
    status = EVENTS.get(delivery.word, "ignored")
    if (
        delivery.word == "orderpaid"
        and (delivery.order.text("status") or "").lower() == _AUTHORISED
    ):
        return "pending"
    return status


def _of_order(delivery: AppmaxDelivery, status: Status, reading: Reading) -> Sale:
    order, value, refunded = (
        delivery.order,
        _value(delivery.order),
        _refunded(delivery.order, status),
    )
    if refunded and value is not None and Decimal(refunded) < Decimal(value):
        status = "partially_refunded"  # OrderRefund, too, says how much
    order_id = order.ident("id")
    fact = (
        value
        if status == "approved"
        else refunded or None
        if status == "partially_refunded"
        else None
    )
    return Sale(
        gateway=NAME,
        event=delivery.event,
        event_key=keys.event_key(NAME, order_id, status, fact),
        status=status,
        order_id=order_id,
        parent_order_id=order.ident("upsell_order_id"),
        value=value,
        currency=CURRENCY if value is not None else None,
        method=_methods.method(order.text("payment_type")),
        installments=order.integer("installments"),
        occurred_at=reading.occurred(_moment(order, status)),
        test=_is_test(delivery),
        products=_basket.fitted(
            _products(order), value, CURRENCY, besides=order.number("freight_value")
        ),
        customer=reading.customer(_buyer(delivery.customer)),
        tracking=_returned(delivery),
        client=_tracking.client_of(
            delivery.customer, delivery.data.node("visit"), delivery.customer.node("last_visit")
        ),
        refunded_value=refunded,
    )


def _value(order: Node) -> str | None:
    total, interest = (_money.amount(order, name, code=CURRENCY) for name in ("total", "interest"))
    if total is None or interest is None or not 0 < Decimal(interest) < Decimal(total):
        return total
    return _money.major(Decimal(total) - Decimal(interest), CURRENCY)


def _refunded(order: Node, status: Status) -> str | UnsetType:
    if status not in ("refunded", "partially_refunded"):
        return UNSET
    told = (
        _money.amount(order, name, code=CURRENCY) for name in ("total_refunded", "refund_amount")
    )
    # 0: not told
    return next((amount for amount in told if amount is not None and Decimal(amount) > 0), UNSET)


def _moment(order: Node, status: Status) -> datetime | None:
    special = {
        "approved": "paid_at",
        "refunded": "refunded_at",
        "partially_refunded": "refunded_at",
    }.get(status)
    return _time.first(order.raw(special) if special else None, order.raw("created_at"))


def _of_customer(raw: bytes, delivery: AppmaxDelivery, status: Status, reading: Reading) -> Sale:
    """A lead, an abandoned cart or a subscription's notice: the customer's id is not an order's."""
    data, subscription = delivery.data, delivery.data.node("subscription")
    who = data.ident("id") or keys.body_fingerprint(raw)
    what = subscription.ident("id") or subscription.text("created_at")
    if bundles := [bundle.ident("id") for bundle in data.nodes("interested_bundle")]:
        what = keys.fingerprint(bundles)
    return Sale(
        gateway=NAME,
        event=delivery.event,
        event_key=keys.event_key(NAME, f"customer-{who}", status, what),
        status=status,
        order_id=None,
        occurred_at=reading.occurred(
            _time.first(subscription.raw("cancelled_at"), data.raw("created_at"))
        ),
        test=_is_test(delivery),
        products=_products(
            Node({"bundles": data.raw("interested_bundle") or [data.raw("subscription", "bundle")]})
        ),
        customer=reading.customer(_buyer(delivery.customer)),
        tracking=_returned(delivery),
        client=_tracking.client_of(
            delivery.customer, delivery.data.node("visit"), delivery.customer.node("last_visit")
        ),
    )


def _ignored(raw: bytes, delivery: AppmaxDelivery, reading: Reading) -> Sale:
    """An event without meaning to us, or one that is new: who it is about is not kept."""
    order_id, customer = delivery.order.ident("id"), delivery.data.ident("id")
    who = order_id or (f"customer-{customer}" if customer else keys.body_fingerprint(raw))
    return Sale(
        gateway=NAME,
        event=delivery.event,
        event_key=keys.event_key(NAME, who, "ignored", delivery.event),
        status="ignored",
        # where neither is there, `data.id` may be a customer's
        order_id=order_id
        if "customer_id" in delivery.data or "order_id" in delivery.data
        else None,
        occurred_at=reading.occurred(_time.instant(delivery.data.raw("created_at"))),
        test=_is_test(delivery),
    )


def _is_test(delivery: AppmaxDelivery) -> bool:
    """The 2020 format names its environment; the others say nothing."""
    return delivery.environment is not None and delivery.environment.lower() not in _PRODUCTION


def _products(order: Node) -> list[Product]:
    """Products of the bundles (a bundle is the offer), else those of the order itself."""
    pairs = [
        (bundle, item) for bundle in order.nodes("bundles") for item in bundle.nodes("products")
    ]
    pairs = pairs or [(Node(), item) for item in order.nodes("products")]
    return [
        _product(bundle, item) for bundle, item in pairs if item.ident("id") or item.ident("sku")
    ]


def _product(bundle: Node, item: Node) -> Product:
    quantity, price = max(1, item.integer("quantity") or 1), item.number("price")
    return Product(
        id=item.ident("id") or item.ident("sku"),
        name=item.text("name"),
        offer_id=bundle.ident("id"),
        quantity=quantity,
        value=None if price is None else _money.major(price * quantity, CURRENCY),
    )


def _buyer(customer: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=customer.text("email"),
        phones=phones(customer.text("telephone") or customer.text("phone")),
        first_name=customer.text("firstname"),
        last_name=customer.text("lastname"),
        full_name=customer.text("fullname"),
        city=customer.text("address_city"),
        state=customer.text("address_state") or customer.text("uf"),
        zip=customer.text("postcode"),
    )


def _returned(delivery: AppmaxDelivery) -> Tracking:
    customer = delivery.customer
    last = customer.node("last_visit")
    links = [
        customer.text("visited_url"),
        last.text("last_page"),
        delivery.order.text("visited_url"),
    ]
    sources = [delivery.data.node("visit"), last, _custom_variables(last), *_meta(delivery.data)]
    return _tracking.read([*sources, *map(_tracking.query_of, links)], trust=_TRUST)


def _custom_variables(visit: Node) -> Node:
    """`custom_var_k1` … `custom_var_v5` as names and values."""
    numbers = range(1, _CUSTOM_VARIABLES + 1)
    return Node(
        {visit.text(f"custom_var_k{n}") or "": visit.raw(f"custom_var_v{n}") for n in numbers}
    )


def _meta(data: Node) -> list[Node]:
    """`meta` as an object, or as a list of names and values."""
    pairs = {
        pair.text("key") or "": pair.raw("value") for pair in data.nodes("meta") if "key" in pair
    }
    return [Node(pairs)] if pairs else [data.node("meta")]
