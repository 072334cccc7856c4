"""Perfect Pay: one JSON postback per status change, authenticated by the account's `token` in the
body.

- Proof: `token` of the body, compared; there is no signature and no documented header.
- Status: `sale_status_enum`. 8 and 16 are the same sale as 2 and share its key; 10 is the end of
  the guarantee; 4 (mediation) keeps the sale approved; 11 counts as canceled, 17 as chargeback,
  18-20 (refund announced, Pix return) as refunded: so the postback's own normalisation has it.
- Value: `sale_amount`, plan and freight, in the sale's currency; the same for producer and
  affiliate, unlike commissions.
- Time: naive local; `date_approved` for an approval. No postback says when its own status began, so
  later statuses take the latest date there is.
- No event id: key is sale code and status. A subscription's renewal is a sale of its own:
  `subscription.charges_made` counts the charges, the first of them 1; without it
  `subscription.status_event` tells.
- Buyer: `phone_extension` is the country code; captures of 2025 have the buyer's `ip` and
  `user_agent`.
- Tracking: `metadata.src` and UTM come back; `sck`, `fbclid`, `_fbp`/`fbp`, `_fbc`/`fbc` on some
  accounts.

Sources: Perfect Pay's support pages (token, enums 0-13 and 16, fields), public adapters for the
other enums, two captured deliveries of 2025.
"""

from __future__ import annotations

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
from sinal_hub.gateways._reading import Reading, phones, with_area, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "perfectpay"
SECRET_KEYS: tuple[str, ...] = ("token",)
AUTHENTICATES = True
MEANINGLESS = frozenset({"none"})

STATUSES: dict[int, tuple[str, Status]] = {
    0: ("none", "ignored"),
    1: ("pending", "pending"),
    2: ("approved", "approved"),
    3: ("in_process", "pending"),
    4: ("in_mediation", "approved"),
    5: ("rejected", "refused"),
    6: ("cancelled", "canceled"),
    7: ("refunded", "refunded"),
    8: ("authorized", "approved"),
    9: ("charged_back", "chargeback"),
    10: ("completed", "completed"),
    11: ("checkout_error", "canceled"),
    12: ("precheckout", "initiate_checkout"),
    13: ("expired", "expired"),
    15: ("cancelled_regenerated", "canceled"),
    16: ("in_review", "approved"),
    17: ("pre_chargeback", "chargeback"),
    18: ("pre_refunded", "refunded"),
    19: ("med", "refunded"),
    20: ("pre_med", "refunded"),
}
PAYMENT_TYPES: dict[int, str | None] = {
    0: None,
    1: "credit_card",
    2: "boleto",
    3: "paypal",
    4: "credit_card",  # recurrent
    5: "free",
    6: "credit_card",  # upsell
    7: "pix",
    8: "boleto",  # in instalments
    9: "other",  # open finance
    10: "wallet",
    11: "wallet",
    12: "wallet",
    16: "wallet",
}
CURRENCIES = {1: "BRL", 2: "USD", 3: "EUR"}
_RENEWED = {"subscription_renewed", "renewed"}


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
    """One normalised sale.

    Raises NotThisGateway for a body that is not a postback of Perfect Pay.
    """
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    code, enum = body.ident("code"), body.text("sale_status_enum")
    if code is None or enum is None:
        missing = [
            name for name, found in (("code", code), ("sale_status_enum", enum)) if found is None
        ]
        raise NotThisGateway(f"{' and '.join(f'`{name}`' for name in missing)} missing")
    number = body.integer("sale_status_enum")
    unknown: tuple[str, Status] = (enum, "ignored")
    word, status = unknown if number is None else STATUSES.get(number, unknown)
    return [_sale(body, code, word, status, reading)]


def _sale(body: Node, code: str, word: str, status: Status, reading: Reading) -> Sale:
    currency = _currency(body)
    value, currency = _money.price(body, "sale_amount", default=currency)
    status = _subscriptions.status_of(status, value, subscribed=bool(body.node("subscription")))
    status, given = _refunds.given_back(status, value, currency, body)
    renewal = _is_later_charge(body.node("subscription"))
    kept = _subscriptions.remembered(
        body.ident("subscription", "code"),
        began=_subscriptions.began(status, value),
        renewal=renewal,
    )
    payment = body.integer("payment_type_enum")
    return Sale(
        gateway=NAME,
        event=word,
        event_key=keys.event_key(
            NAME, code, status, word if status == "ignored" else _refunds.fact(status, given)
        ),
        status=status,
        order_id=code,
        value=value,
        currency=currency,
        method=None if payment is None else PAYMENT_TYPES.get(payment, "other"),
        installments=body.integer("installments"),
        occurred_at=reading.occurred(_moment(body, status)),
        renewal=renewal,
        products=_products(body, value),
        customer=reading.customer(_buyer(body.node("customer"))),
        tracking=_tracking.read([body.node("metadata"), body], trust=("src", "sck", "xcod")),
        client=_tracking.client_of(body.node("customer"), body.node("metadata")),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _is_later_charge(subscription: Node) -> bool:
    made = subscription.integer("charges_made")
    return subscription.text("status_event") in _RENEWED if made is None else made > 1


def _currency(body: Node) -> str | None:
    """Of the enum or its word; Brazilian without either, unknown for an enum that is new."""
    enum = body.text("currency_enum")
    known = CURRENCIES.get(body.integer("currency_enum") or 0)
    return known or _money.currency_of(body.text("currency_enum_key"), enum, default="BRL")


def _moment(body: Node, status: Status) -> datetime | None:
    created, approved = body.raw("date_created"), body.raw("date_approved")
    if status == "approved":
        return _time.first(approved, created)
    return _time.latest(created, approved)


def _products(body: Node, value: str | None) -> list[Product]:
    """The plan that was sold, and what `plan_itens` adds to it.

    The sale's value stands on the first.
    """
    product, plan = body.node("product"), body.node("plan")
    quantity = body.integer("quantity") or plan.integer("quantity") or 1
    main = Product(
        id=product.ident("code"),
        name=product.text("name"),
        offer_id=plan.ident("code"),
        quantity=max(1, quantity),
        value=value,
    )
    found = [main] if main.id or main.offer_id else []
    for item in body.nodes("plan_itens"):
        offer, item_id = (
            item.ident("plan", "code") or item.ident("code"),
            item.ident("product", "code"),
        )
        if (offer or item_id) and offer != main.offer_id:
            found.append(Product(id=item_id, name=item.text("name"), offer_id=offer))
    return found


def _phone(customer: Node) -> str | None:
    number = with_area(customer.text("phone_area_code"), customer.text("phone_number"))
    return with_country(customer.text("phone_extension"), number) or customer.text(
        "phone_formated_ddi"
    )


def _buyer(customer: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=customer.text("email"),
        phones=phones(_phone(customer)),
        full_name=customer.text("full_name"),
        city=customer.text("city"),
        state=customer.text("state"),
        zip=customer.text("zip_code"),
        country=customer.text("country"),
    )
