"""Mercado Pago: signed notices that carry ids only; the payment is read back from the API.

- Proof: `x-signature: ts=…,v1=…`, hex HMAC-SHA256 of
  `id:<data.id>;request-id:<x-request-id>;ts:<ts>;`, where a part without a value is left out. The
  id is signed as it is written (its SDKs since June 2026) or in lower case (older text and
  senders); both are taken. The id is the query's `data.id`, else the body's. The body is not
  signed: nothing of it but an id that the signature covers is believed, so a payment in a body is
  never read, and what was signed is the notice's key: a captured signature with another body is the
  same notice again.
- Age: `ts` (s, or ms in newer notices) may be a day off. Mercado Pago repeats a notice for hours
  until it is answered, and whether it signs a repeat anew is not documented; minutes would lose the
  sales of an outage.
- Read-back: `GET /v1/payments/<id>` with the account's access token. A notice says that something
  changed and the answer says what is: two notices that lead to one state share the sale's key.
- Status of the payment: `status`; a refund in part is an approved payment whose `status_detail` or
  `transaction_amount_refunded` says so. Money that people send each other or to their own account
  is not a sale.
- Tests: `live_mode` false; and test users, whose payments with the credentials of a test account
  say `live_mode` true, known by their e-mail or by the name on the card that asks for an answer
  (APRO and the like).
- Renewals: `point_of_interaction` of type SUBSCRIPTIONS counts the charges of a subscription.
- In person: Point, a QR code of a till (`pos_id`).
- Value: `transaction_amount`, decimals, without the buyer's instalment interest
  (`total_paid_amount` has it).
- Time: RFC 3339; `date_approved`, else `date_last_updated`.
- Tracking: `metadata`, `external_reference`. Client: `additional_info.ip_address`.

Sources: Mercado Pago's notification and payment reference, as read by public adapters.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime

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
from sinal_hub.gateways._reading import Reading, phones, with_area
from sinal_hub.model import keys
from sinal_hub.model.readback import ReadBack
from sinal_hub.model.sale import Client, Customer, Product, Sale, Status

NAME = "mercadopago"
SECRET_KEYS: tuple[str, ...] = ("webhookSecret",)
AUTHENTICATES = True
READBACK_URL = "https://api.mercadopago.com"
READBACK_KEYS: tuple[str, ...] = ("accessToken",)
TOLERANCE_S = 86_400
TRANSFERS = frozenset({
    "money_transfer", "account_fund", "payout", "investment", "money_exchange", "card_validation",
})  # fmt: skip
MEANINGLESS = frozenset({"notice", "payment.created", "payment.updated", "payment"}) | TRANSFERS

STATUSES: dict[str, Status] = {
    "pending": "pending",
    "in_process": "pending",
    "authorized": "pending",
    "approved": "approved",
    "in_mediation": "refund_requested",
    "rejected": "refused",
    "cancelled": "canceled",
    "refunded": "refunded",
    "charged_back": "chargeback",
}
_METHODS = {
    "ticket": "boleto",
    "credit_card": "credit_card",
    "account_money": "wallet",
    "digital_wallet": "wallet",
}
_STAMP = re.compile(r"\d{1,13}", re.ASCII)
_MILLISECONDS = 10**11  # a stamp from here on; in seconds that is the year 5138
_PAYMENT_ID = re.compile(r"\d{1,20}", re.ASCII)
_AT_A_TILL = frozenset({"point", "instore"})
_TEST_DOMAIN = "@testuser.com"
_TEST_HOLDERS = frozenset({"APRO", "OTHE", "CONT", "CALL", "FUND", "SECU", "EXPI", "FORM"})
_TRUST = ("click_id", "sinal_click_id", "xcod", "sck", "src", "external_reference")


def verify(
    raw: bytes,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    secret: Mapping[str, str],
    *,
    now: float | None = None,
) -> bool:
    """Whether the signature covers the id that the notice is about, within a day of `now` (Unix s,
    default: clock).
    """
    parts = _signature(headers)
    manifests = _manifests(raw, headers, query)
    if not manifests or not _is_recent(parts["ts"], time.time() if now is None else now):
        return False
    secrets = _proof.secrets_of(secret, "webhookSecret")
    messages = [manifest.encode("utf-8", "surrogatepass") for manifest in manifests]
    return any([_proof.signed_hex(parts.get("v1"), message, secrets) for message in messages])


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One `ignored` sale that records the notice; raises NotThisGateway for a body that is none."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    subject, kind = _subject(raw, {}), body.text("type") or body.text("topic")
    if subject is None or kind is None:
        raise NotThisGateway("`data.id` or `type` is missing: a notice of Mercado Pago has both")
    if not any(name in body for name in ("action", "api_version", "live_mode", "user_id", "topic")):
        raise NotThisGateway("`action`, `api_version` and `user_id` are missing")
    event = body.text("action") or kind
    # The notice's own id: each of several notices of one payment must be read back, and a repeat of
    # one must not.
    notice = body.ident("id") or keys.fingerprint(body.text("date_created"))
    return [
        Sale(
            gateway=NAME,
            event=event if kind == "payment" else "notice",
            event_key=keys.event_key(NAME, subject, "ignored", event, notice),
            status="ignored",
            order_id=subject if kind == "payment" else None,
            occurred_at=reading.occurred(_time.instant(body.raw("date_created"))),
        )
    ]


def readback(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> ReadBack | None:
    """The payment's own resource; None for notices of anything else."""
    try:
        body = _body.load(raw)
    except NotThisGateway:
        return None
    subject = _subject(raw, query)
    if (
        (body.text("type") or body.text("topic")) != "payment"
        or subject is None
        or not _PAYMENT_ID.fullmatch(subject)
    ):
        return None
    manifests = _manifests(raw, headers, query)
    return ReadBack(
        path=f"/v1/payments/{subject}",
        headers={"Authorization": "Bearer {accessToken}"},
        notice=keys.fingerprint(manifests[0]) if manifests else None,
    )


def parse_readback(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale of a payment; raises NotThisGateway for an answer that is none."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    order, word = body.ident("id"), body.text("status")
    if order is None or word is None or "transaction_amount" not in body:
        raise NotThisGateway(
            "`id`, `status` or `transaction_amount` is missing: this is not a "
            "payment of Mercado Pago"
        )
    transfer = body.text("operation_type")
    is_transfer = transfer in TRANSFERS
    status: Status = "ignored" if is_transfer else _status(body, word)
    currency = _money.currency(body.text("currency_id") or "BRL")
    value = _money.major(body.number("transaction_amount"), currency)
    refunded = _refunded(body, status, currency)
    fact = (
        refunded or None
        if status == "partially_refunded"
        else word
        if status == "ignored"
        else None
    )
    in_person = _is_in_person(body)
    return [
        Sale(
            gateway=NAME,
            event=transfer or word if is_transfer else word,
            event_key=keys.event_key(NAME, order, status, fact),
            status=status,
            order_id=order,
            value=value,
            currency=currency if value is not None else None,
            method=_method(body),
            installments=body.integer("installments"),
            occurred_at=reading.occurred(_moment(body, status)),
            test=_is_test(body),
            renewal=_is_renewal(body),
            products=_products(body, value, currency),
            customer=Customer() if is_transfer else reading.customer(_buyer(body)),
            tracking=_tracking.read([body.node("metadata"), body], trust=_TRUST),
            # the address of a till is not the buyer's
            client=Client()
            if in_person
            else _tracking.client(body.text("additional_info", "ip_address")),
            refunded_value=refunded,
            in_person=in_person or UNSET,
        )
    ]


def _signature(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = [
        part.strip().partition("=")
        for part in (_proof.header(headers, "x-signature") or "").split(",")[:20]
    ]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _manifests(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """What may be signed, the form of the notice's own key first.

    Empty where the id or the time is missing.
    """
    subject, stamp = _subject(raw, query), _signature(headers).get("ts")
    if subject is None or not stamp:
        return []
    rest = (("request-id", _proof.header(headers, "x-request-id")), ("ts", stamp))
    after = "".join(f"{name}:{value};" for name, value in rest if value)
    return [f"id:{spelled};{after}" for spelled in dict.fromkeys((subject.lower(), subject))]


def _is_recent(stamp: str, now: float) -> bool:
    if not _STAMP.fullmatch(stamp):
        return False
    signed_at = int(stamp)
    return (
        abs(now - (signed_at / 1_000 if signed_at >= _MILLISECONDS else signed_at)) <= TOLERANCE_S
    )


def _subject(raw: bytes, query: Mapping[str, str]) -> str | None:
    """The id the notice is about: of the query, which is signed, else of the body."""
    given = query.get("data.id") or query.get("id")
    if given:
        return given.strip()
    try:
        body = _body.load(raw)
    except NotThisGateway:
        return None
    return body.ident("data", "id") or (body.ident("resource") or "").rpartition("/")[2] or None


def _status(body: Node, word: str) -> Status:
    detail = body.text("status_detail")
    given_back, amount = (
        body.number("transaction_amount_refunded"),
        body.number("transaction_amount"),
    )
    in_part = given_back is not None and amount is not None and 0 < given_back < amount
    if word in ("approved", "refunded") and (detail == "partially_refunded" or in_part):
        return "partially_refunded"
    if word == "charged_back" and detail == "reimbursed":
        return "chargeback_won"
    return (
        "expired" if word == "cancelled" and detail == "expired" else STATUSES.get(word, "ignored")
    )


def _is_test(body: Node) -> bool:
    email = (body.text("payer", "email") or "").lower()
    if email.endswith(_TEST_DOMAIN) or email.startswith("test_user_"):
        return True
    return (
        body.flag("live_mode") is False or body.text("card", "cardholder", "name") in _TEST_HOLDERS
    )


def _is_renewal(body: Node) -> bool:
    """Whether a charge of a subscription is a later one."""
    if (body.text("point_of_interaction", "type") or "").upper() != "SUBSCRIPTIONS":
        return False  # of a card on file, too, it is told whether it was used before
    charge = body.node("point_of_interaction", "transaction_data")
    number = charge.integer("subscription_sequence", "number")
    return number > 1 if number is not None else charge.flag("first_time_use") is False


def _is_in_person(body: Node) -> bool:
    kind = (body.text("point_of_interaction", "type") or "").lower()
    return (
        kind in _AT_A_TILL
        or body.text("operation_type") == "pos_payment"
        or body.ident("pos_id") is not None
    )


def _refunded(body: Node, status: Status, currency: str | None) -> str | UnsetType:
    if status not in ("refunded", "partially_refunded"):
        return UNSET
    return _money.major(body.number("transaction_amount_refunded"), currency) or UNSET


def _method(body: Node) -> str | None:
    kind = body.text("payment_type_id")
    if body.text("payment_method_id") == "pix":
        return "pix"
    return None if kind is None else _METHODS.get(kind) or _methods.method(kind)


def _moment(body: Node, status: Status) -> datetime | None:
    special = body.raw("date_approved") if status == "approved" else None
    return _time.first(special, body.raw("date_last_updated"), body.raw("date_created"))


def _products(body: Node, paid: str | None, currency: str | None) -> list[Product]:
    found = []
    for item in body.nodes("additional_info", "items"):
        quantity, price = max(1, item.integer("quantity") or 1), item.number("unit_price")
        value = None if price is None else _money.major(price * quantity, currency)
        found.append(
            Product(id=item.ident("id"), name=item.text("title"), quantity=quantity, value=value)
        )
    return _basket.fitted(found, paid, currency, besides=body.number("shipping_amount"))


def _buyer(body: Node) -> identity.ClearUser:
    """`payer` is often empty but for the e-mail.

    The seller may have told the rest in `additional_info`.
    """
    payer, told = body.node("payer"), body.node("additional_info", "payer")
    home, parcel = (
        told.node("address"),
        body.node("additional_info", "shipments", "receiver_address"),
    )
    own = payer.node("address")
    phone = payer.node("phone") if payer.text("phone", "number") else told.node("phone")
    return identity.ClearUser(
        email=payer.text("email"),
        phones=phones(with_area(phone.text("area_code"), phone.text("number"))),
        first_name=payer.text("first_name") or told.text("first_name"),
        last_name=payer.text("last_name") or told.text("last_name"),
        city=parcel.text("city_name") or own.text("city") or home.text("city"),
        state=parcel.text("state_name")
        or own.text("federal_unit")
        or own.text("state")
        or home.text("state"),
        zip=home.text("zip_code") or own.text("zip_code") or parcel.text("zip_code"),
    )
