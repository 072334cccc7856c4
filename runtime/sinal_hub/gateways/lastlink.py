"""Lastlink: JSON with capitalised names, authenticated by a static token in a header.

- Proof: `x-lastlink-token`, compared. Other code reads an HMAC header: no capture shows one.
- Status by `Event`, in any case. A renewal is Recurrent_Payment, and an order confirmed whose
  `Recurrency` is above 1.
- Order: `Data.Purchase.PaymentId`; an abandoned cart has none, so who, what and when tell two
  apart.
- Value: `Data.Purchase.Price.Value`, decimals, in reais unless a currency stands beside it.
- Client: `Data.DeviceInfo` has the buyer's address and browser, which few gateways tell.
- Tracking: `Data.Utm.Utm*`; the click id is read where it has the form of one, at last in `UtmId`.

Sources: Lastlink's help page on the abandoned cart; public adapters for the rest.
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
from sinal_hub.gateways._reading import Reading, phones, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "lastlink"
SECRET_KEYS: tuple[str, ...] = ("token",)
AUTHENTICATES = True
CURRENCY = "BRL"
MEANINGLESS = frozenset({
    "Product_Access_Started", "Product_Access_Ended", "Subscription_Product_Access", "Active_Member_Notification",
})  # fmt: skip

EVENTS: dict[str, Status] = {
    "abandoned_cart": "initiate_checkout",
    "purchase_request_confirmed": "pending",
    "purchase_request_canceled": "canceled",
    "purchase_request_expired": "expired",
    "purchase_refused": "refused",
    "purchase_order_confirmed": "approved",
    "recurrent_payment": "approved",
    "refund_period_over": "completed",
    "refund_requested": "refund_requested",
    "payment_refund": "refunded",
    "payment_chargeback": "chargeback",
    "subscription_canceled": "subscription_canceled",
    "subscription_expired": "subscription_canceled",
    "subscription_renewal_pending": "subscription_past_due",
    "subscription_renewal_approved": "subscription_renewed",
}
_RENEWALS = ("recurrent_payment", "subscription_renewal_approved")
_TRUST = ("click_id", "xcod", "sck", "src", "utm_id")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the header carries the token."""
    return _proof.is_one_of(
        _proof.header(headers, "x-lastlink-token"), _proof.secrets_of(secret, "token")
    )


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Lastlink."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    event = body.text("Event")
    if event is None:
        raise NotThisGateway("`Event` is missing")
    if not body.node("Data"):
        raise NotThisGateway("`Data` is missing or empty")
    status = EVENTS.get(event.lower(), "ignored")
    order = body.ident("Data", "Purchase", "PaymentId")
    if order is None and status == "approved":
        raise NotThisGateway("`Data.Purchase.PaymentId` is missing")
    return [_sale(body, event, status, order, reading)]


def _sale(body: Node, event: str, status: Status, order: str | None, reading: Reading) -> Sale:
    data, purchase = body.node("Data"), body.node("Data", "Purchase")
    value, currency = _price(purchase, CURRENCY)
    subscriptions = data.nodes("Subscriptions")
    subscribed = bool(subscriptions) or event.lower() in _RENEWALS
    status = _subscriptions.status_of(status, value, subscribed=subscribed)
    status, given = _refunds.given_back(status, value, currency, purchase, data)
    renewal = event.lower() in _RENEWALS or _subscriptions.is_later(purchase.integer("Recurrency"))
    subscription = next((found for node in subscriptions if (found := node.ident("Id"))), None)
    kept = _subscriptions.remembered(
        subscription, began=_subscriptions.began(status, value), renewal=renewal
    )
    payment = purchase.node("Payment")
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(
            NAME, order or _nameless(body), status, _fact(body, event, status, given)
        ),
        status=status,
        order_id=order,
        value=value,
        currency=currency,
        method=_methods.method(payment.text("PaymentMethod") or purchase.text("PaymentMethod")),
        installments=payment.integer("NumberOfInstallments"),
        occurred_at=reading.occurred(
            _time.first(body.raw("CreatedAt"), purchase.raw("PaymentDate"))
        ),
        test=body.flag("IsTest") is True,
        renewal=renewal,
        products=_products(data, value, currency),
        customer=reading.customer(_buyer(data.node("Buyer"))),
        tracking=_tracking.read([_tracking.utm(data.node("Utm")), data], trust=_TRUST),
        client=_tracking.client_of(data.node("DeviceInfo"), data.node("Buyer")),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _price(node: Node, default: str | None) -> tuple[str | None, str | None]:
    """`Price`, an object with its currency or an amount alone."""
    price = node.node("Price") or Node({"Value": node.raw("Price")})
    told = _money.currency_of(price.text("Currency"), default=default) if default else None
    return _money.price(price, "Value", default=told)


def _fact(body: Node, event: str, status: Status, given: _refunds.Given) -> str | None:
    if status == "ignored":
        return event
    if status.startswith("subscription_"):
        return keys.fingerprint(event, body.text("CreatedAt"))
    return _refunds.fact(status, given)


def _nameless(body: Node) -> str:
    """Who, what and when, where there is no payment."""
    data, subscription = body.node("Data"), body.node("Data").nodes("Subscriptions")
    who = [
        data.text("Buyer", "Email"),
        data.text("Buyer", "PhoneNumber"),
        *(node.ident("Id") for node in subscription),
    ]
    return keys.fingerprint(
        who, [item.ident("Id") for item in data.nodes("Products")], body.text("CreatedAt")
    )


def _products(data: Node, value: str | None, currency: str | None) -> list[Product]:
    offer = data.ident("Offer", "Id")
    items = [item for item in data.nodes("Products") if item.ident("Id")]
    prices = [value] if len(items) == 1 else [_price(item, currency)[0] for item in items]
    return [
        Product(id=item.ident("Id"), name=item.text("Name"), offer_id=offer, value=line)
        for item, line in zip(items, _money.shared(prices, value, currency), strict=True)
    ]


def _buyer(buyer: Node) -> identity.ClearUser:
    address = buyer.node("Address")
    return identity.ClearUser(
        email=buyer.text("Email"),
        phones=phones(
            with_country(
                buyer.text("PhoneCountryCode"), buyer.text("PhoneNumber") or buyer.text("Phone")
            )
        ),
        full_name=buyer.text("Name"),
        city=address.text("City"),
        state=address.text("State"),
        zip=address.text("ZipCode"),
        country=address.text("Country"),
    )
