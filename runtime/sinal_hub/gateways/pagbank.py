"""PagBank (PagSeguro): orders as signed JSON, and older notices that carry a code to read the
transaction back with.

- Proof: `x-authenticity-token` = hex SHA-256 of `<token>-` and the raw body. An older notice has no
  proof: it is a code, and what it stands for is read from PagBank with the account's own
  credentials. Since anybody could post codes, the webhook's URL always needs its unguessable
  segment.
- Read-back of an older notice: `GET /v3/transactions/notifications/<code>` with e-mail and token,
  answered in XML.
- Status: that of the order's charges, the furthest by rank (a refused card before a paid one is not
  a refusal). A canceled charge of which something was given back is a refund; of two cards of an
  order, one given back is a refund in part.
- Value: `charges[].amount.value` in cents; several charges of one order (two cards) are added.
- Renewals: `charges[].recurring.type` SUBSEQUENT. Tests: the links of an order of the sandbox lead
  there.
- Time: RFC 3339; `paid_at` for an approval.
- Tracking: `reference_id` (older: `reference`), read as a click id where it has the form of one.

Sources: PagBank's order and charge reference as read by public adapters; PagSeguro's older
transaction reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal

from msgspec import UNSET, UnsetType

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _basket,
    _body,
    _methods,
    _money,
    _pagbank_xml,
    _proof,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, with_area
from sinal_hub.model import keys
from sinal_hub.model.readback import ReadBack
from sinal_hub.model.sale import RANK, Product, Sale, Status

NAME = "pagbank"
SECRET_KEYS: tuple[str, ...] = ("token",)
AUTHENTICATES = False  # an older notice proves nothing: see above
READBACK_URL = "https://ws.pagseguro.uol.com.br"
READBACK_KEYS: tuple[str, ...] = ("email", "token")
MEANINGLESS = frozenset({"notificationCode"})

STATUSES: dict[str, Status] = {
    "WAITING": "pending",
    "IN_ANALYSIS": "pending",
    "AUTHORIZED": "pending",
    "PAID": "approved",
    "DECLINED": "refused",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
}
_SOLD = ("approved", "partially_refunded", "refunded")
_SANDBOX = "://sandbox."
_CODE = re.compile(r"[A-Za-z0-9-]{20,64}", re.ASCII)


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the body is signed, or is an older notice, which is only ever a code to ask PagBank
    about.
    """
    tokens = _proof.secrets_of(secret, "token")
    given = _proof.header(headers, "x-authenticity-token")
    if given is None:
        return bool(tokens) and _code(raw) is not None
    expected = [hashlib.sha256(token + b"-" + raw).hexdigest() for token in tokens]
    return any([_proof.same_hex(given.strip(), digest) for digest in expected])


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale, `ignored` for an older notice.

    Raises NotThisGateway for a body of somebody else.
    """
    reading = Reading(country=country, clear=clear, now=now)
    if (code := _code(raw)) is not None:
        return [_notice(code, reading)]
    body = _body.load(raw)
    charges = body.nodes("charges") or (
        [body] if (body.ident("id") or "").startswith("CHAR_") else []
    )
    if body.ident("id") is None:
        raise NotThisGateway("`id` is missing, and so is `notificationCode` of an older notice")
    if not charges and not body.nodes("qr_codes"):
        raise NotThisGateway("`charges` and `qr_codes` are missing")
    return [_sale(body, charges, reading)]


def readback(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> ReadBack | None:
    """The transaction that an older notice stands for; None for an order, which says all itself."""
    code = _code(raw)
    if code is None:
        return None
    account = {"email": "{email}", "token": "{token}"}
    return ReadBack(path=f"/v3/transactions/notifications/{code}", query=account)


def parse_readback(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale of an older transaction.

    Raises NotThisGateway for an answer that is none.
    """
    return [_pagbank_xml.sale(raw, Reading(country=country, clear=clear, now=now))]


def _code(raw: bytes) -> str | None:
    """The code of an older notice about a transaction."""
    try:
        body = _body.load(raw)
    except NotThisGateway:
        return None
    code = body.ident("notificationCode")
    if code is None or body.text("notificationType") not in (None, "transaction"):
        return None
    return code if _CODE.fullmatch(code) else None


def _notice(code: str, reading: Reading) -> Sale:
    return Sale(
        gateway=NAME,
        event="notificationCode",
        event_key=keys.event_key(NAME, "notice", code),
        status="ignored",
        order_id=None,
        occurred_at=reading.occurred(None),
    )


def _sale(body: Node, charges: list[Node], reading: Reading) -> Sale:
    status, telling = _outcome(charges)
    order, charge = body.ident("id"), telling[0] if telling else Node()
    word = charge.text("status") or "WAITING"
    currency = _money.currency(charge.text("amount", "currency") or "BRL")
    value = _money.cents(_amount(body, telling), currency)
    moments = (
        charge.raw("paid_at") if status == "approved" else None,
        charge.raw("created_at"),
        body.raw("created_at"),
    )
    fact = keys.fingerprint(_given_back(telling)) if status == "partially_refunded" else None
    products = [_product(item, currency) for item in body.nodes("items")]
    return Sale(
        gateway=NAME,
        event=word,
        event_key=keys.event_key(NAME, order, status, word if status == "ignored" else fact),
        status=status,
        order_id=order,
        value=value,
        currency=currency if value is not None else None,
        method=_method(body, charge),
        installments=charge.integer("payment_method", "installments"),
        occurred_at=reading.occurred(_time.first(*moments)),
        test=_is_test(body, charges),
        renewal=status == "approved" and charge.text("recurring", "type") == "SUBSEQUENT",
        products=_basket.fitted(products, value, currency),
        customer=reading.customer(_buyer(body)),
        tracking=_tracking.read([body, charge], trust=("click_id", "reference_id")),
        refunded_value=_refunded(status, telling, currency),
    )


def _outcome(charges: list[Node]) -> tuple[Status, list[Node]]:
    """What an order's charges come to, and the charges that tell: the furthest by rank, or those
    that were paid.

    An order without any charge waits for its Pix.
    """
    statuses = [_status(charge) for charge in charges]
    furthest: Status = max(statuses, key=lambda status: RANK.get(status, 0), default="pending")
    sold = [charge for charge, status in zip(charges, statuses, strict=True) if status in _SOLD]
    if furthest in _SOLD and sold:
        whole = all(_status(charge) == furthest for charge in sold)
        return (furthest if whole else "partially_refunded"), sold
    return furthest, [charge for charge in charges if _status(charge) == furthest] or charges


def _is_test(body: Node, charges: list[Node]) -> bool:
    links = [link.text("href") or "" for node in (body, *charges) for link in node.nodes("links")]
    return any(_SANDBOX in href for href in links)


def _refunded(status: Status, charges: list[Node], currency: str | None) -> str | UnsetType:
    if status not in ("refunded", "partially_refunded"):
        return UNSET
    back = sum(
        (charge.number("amount", "summary", "refunded") or Decimal(0) for charge in charges),
        Decimal(0),
    )
    return _money.cents(back, currency) or UNSET if back else UNSET


def _status(charge: Node) -> Status:
    status = STATUSES.get(charge.text("status") or "", "ignored")
    back = charge.number("amount", "summary", "refunded") or Decimal(0)
    if back > 0 and status in ("approved", "canceled"):
        total = charge.number("amount", "value") or back
        return "refunded" if back >= total else "partially_refunded"
    return status


def _amount(body: Node, charges: list[Node]) -> Decimal | None:
    amounts = [
        amount for charge in charges if (amount := charge.number("amount", "value")) is not None
    ]
    if not charges:
        amounts = [
            a
            for code in body.nodes("qr_codes")[:1]
            if (a := code.number("amount", "value")) is not None
        ]
    return sum(amounts, Decimal(0)) if amounts else None


def _given_back(charges: list[Node]) -> list[str | None]:
    return [charge.text("amount", "summary", "refunded") for charge in charges]


def _method(body: Node, charge: Node) -> str | None:
    word = charge.text("payment_method", "type")
    return "pix" if word is None and body.nodes("qr_codes") else _methods.method(word)


def _product(item: Node, currency: str | None) -> Product:
    quantity, price = max(1, item.integer("quantity") or 1), item.number("unit_amount")
    return Product(
        id=item.ident("reference_id"),
        name=item.text("name"),
        quantity=quantity,
        value=None if price is None else _money.cents(price * quantity, currency),
    )


def _buyer(body: Node) -> identity.ClearUser:
    person, address = body.node("customer"), body.node("shipping", "address")
    numbers = [
        f"+{phone.text('country') or '55'}{number}"
        for phone in person.nodes("phones")
        if (number := with_area(phone.text("area"), phone.text("number")))
    ]
    return identity.ClearUser(
        email=person.text("email"),
        phones=tuple(numbers),
        full_name=person.text("name"),
        city=address.text("city"),
        state=address.text("region_code"),
        zip=address.text("postal_code"),
        country=address.text("country"),
    )
