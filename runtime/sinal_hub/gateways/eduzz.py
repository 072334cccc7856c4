"""Eduzz: webhook v3 (JSON, signed) and the older one (flat fields, JSON or form, with a key in the
body).

- Proof, v3: `x-signature` = hex HMAC-SHA256 of the raw body. Older: the account's key in
  `origin_secret` or `origin` (Eduzz's pages name both), or the deprecated `api_key`, compared. A
  signature decides alone: a key in the body cannot repair a wrong one.
- Status, v3: what follows the dot in `event` (`myeduzz.invoice_paid`); older: `trans_status`. A
  charge of a contract that was tried (`contract_card_attempted`, …) was not paid.
- Test: what is sent when a URL of the older webhook is saved has a buyer of Eduzz's own. For carts
  it has no key, and the URL can't be saved unless it is taken: it proves nothing, says the same
  every time and is one fact, a test.
- Value: `data.price.value`, decimals; older `trans_value`, what the product costs (`trans_paid` has
  interest in it).
- A bump is an invoice of its own that names the main sale; a sale paid in slips is an invoice for
  each of them.
- Time: RFC 3339 in v3; older local dates ("20190904" or with dashes) beside local times.
- Keys are made of invoice and status, so that both generations of one fact share a key.
- Tracking: `data.utm` and `data.tracker` (code1-3, at times `utmSource` and so on); older
  `tracker_utm_*` and `tracker_trk`, 2, 3.
- Eduzz retries three times, keeps the rest for seven days and sends it oldest first: late and out
  of order is normal.

Sources: Eduzz's help page on retries and its published pages of the older webhook; public receivers
of v3.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _eduzz_form,
    _methods,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, country_code, phones, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "eduzz"
SECRET_KEYS: tuple[str, ...] = ("secret",)
AUTHENTICATES = True
_PING = "ping"  # of the panel, when a URL is saved; it may say nothing more
MEANINGLESS = frozenset({_PING, "myeduzz.contract_created"})

EVENTS: dict[str, Status] = {
    "cart_abandonment": "initiate_checkout",
    "invoice_opened": "pending",
    "invoice_scheduled": "pending",
    "invoice_waiting_payment": "pending",
    "invoice_recovering": "pending",
    "invoice_negotiated": "pending",
    "invoice_overdue": "overdue",
    "invoice_paid": "approved",
    "invoice_refused": "refused",
    "invoice_duplicated": "canceled",
    "invoice_canceled": "canceled",
    "invoice_expired": "expired",
    "invoice_waiting_refund": "refund_requested",
    "invoice_refunded": "refunded",
    "invoice_chargeback": "chargeback",
    "contract_updated": "subscription_changed",
    "contract_canceled": "subscription_canceled",
    "contract_delayed": "subscription_past_due",
    "subscription_canceled": "subscription_canceled",
}
_ATTEMPTED = "_attempted"  # a contract's charge by card, slip, Pix or balance that was not paid
_PROOFS = ("origin_secret", "origin", "api_key")
_MOMENTS = {
    "approved": "paidAt",
    "refunded": "refundedAt",
    "partially_refunded": "refundedAt",
    "canceled": "canceledAt",
}
_TRUST = ("code1", "code2", "code3", "sck", "src")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the body is signed (v3), or carries the account's key (older)."""
    secrets = _proof.secrets_of(secret, "secret")
    signature = _proof.header(headers, "x-signature")
    if signature is not None:
        return _proof.signed_hex(signature, raw, secrets)
    try:
        body = _body.load(raw)
    except NotThisGateway:
        return False
    if not _eduzz_form.is_delivery(body):
        return False
    if _eduzz_form.tries_url(body) and not any(name in body for name in _PROOFS):
        return bool(secrets)
    return any([_proof.is_one_of(body.text(name), secrets) for name in _PROOFS])


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of Eduzz."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    if _eduzz_form.is_delivery(body):
        return [_eduzz_form.sale(body, reading)]
    event, data = body.text("event"), body.node("data")
    if event is None or not (data or event == _PING):
        raise NotThisGateway(
            "`event` and `data` are missing (v3), and so are `trans_cod` and `trans_status` (older)"
        )
    family, _, word = event.rpartition(".")
    if family not in ("myeduzz", "nutror", "sun", "alpaclass") and "sentDate" not in body:
        raise NotThisGateway("`event` is not a word of Eduzz's, and `sentDate` is missing")
    status = _status(word)
    if data.ident("id") is None and status not in ("initiate_checkout", "ignored"):
        raise NotThisGateway("`data.id` is missing")
    return [_sale(body, event, status, reading)]


def _status(word: str) -> Status:
    attempted = word.startswith("contract_") and word.endswith(_ATTEMPTED)
    return "subscription_past_due" if attempted else EVENTS.get(word, "ignored")


def _sale(body: Node, event: str, status: Status, reading: Reading) -> Sale:
    data = body.node("data")
    notice = status.startswith("subscription_")
    order, told = (
        data.ident("id"),
        _money.currency_of(data.text("price", "currency"), default="BRL"),
    )
    value, currency = _price(data, told)
    if not notice:
        status = _subscriptions.status_of(status, value, subscribed=bool(data.node("contract")))
    status, given = _refunds.given_back(status, value, currency, data)
    later = _is_later_charge(data)
    kept = _subscriptions.remembered(
        data.ident("contract", "id"), began=_subscriptions.began(status, value), renewal=later
    )
    fact = _refunds.fact(status, given)
    if status == "ignored" or notice:
        fact = event if status == "ignored" else data.text("updatedAt") or body.text("sentDate")
    special = data.raw(_MOMENTS[status]) if status in _MOMENTS else None
    return Sale(
        gateway=NAME,
        event=event,
        event_key=keys.event_key(NAME, order or _cart(body), status, fact),
        status=status,
        order_id=None if notice else order,
        value=value,
        currency=currency,
        method=_methods.method(data.text("paymentMethod") or data.text("payment", "method")),
        installments=data.integer("installments"),
        occurred_at=reading.occurred(
            _time.first(special, body.raw("sentDate"), data.raw("createdAt"))
        ),
        parent_order_id=_main_sale(data, order),
        test=_eduzz_form.is_eduzz_own(data.text("buyer", "email")),
        renewal=status == "approved" and later,
        products=_products(data, value, currency),
        customer=reading.customer(_buyer(data)),
        tracking=_tracking.read([data, *_links(data)], trust=_TRUST),
        client=_tracking.client_of(data.node("buyer"), data, data.node("tracker")),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _main_sale(data: Node, order: str | None) -> str | None:
    main = data.ident("orderBump", "mainSaleId")
    return None if main in ("0", order) or data.flag("orderBump", "isMainSale") else main


def _is_later_charge(data: Node) -> bool:
    """A contract's next charge, or the next slip of a sale paid in slips: an invoice each."""
    numbers = (
        data.integer("contract", "chargeNumber"),
        data.integer("bankSlipInstallment", "installmentNumber"),
    )
    return _subscriptions.is_later(*numbers)


def _cart(body: Node) -> str:
    data, buyer = body.node("data"), _buyer(body.node("data"))
    items = [item.ident("productId") for item in data.nodes("items")]
    return keys.fingerprint(
        buyer.email, buyer.phones, items, data.text("createdAt") or body.text("sentDate")
    )


def _products(data: Node, value: str | None, currency: str | None) -> list[Product]:
    items = [item for item in data.nodes("items") if item.ident("productId")]
    quantities = [max(1, item.integer("quantity") or 1) for item in items]
    values = _money.lines(
        [_price(item, currency)[0] for item in items], quantities, value, currency
    )
    return [
        Product(
            id=item.ident("productId"),
            name=item.text("name"),
            offer_id=item.ident("offerId"),
            quantity=many,
            value=line,
        )
        for item, many, line in zip(items, quantities, values, strict=True)
    ]


def _price(node: Node, currency: str | None) -> tuple[str | None, str | None]:
    """`price`, an object with its currency or an amount alone."""
    path = ("price", "value") if node.node("price") else ("price",)
    return _money.price(node, *path, default=currency)


def _buyer(data: Node) -> identity.ClearUser:
    """`buyer` pays; `student` may be somebody else and stands in only where nobody pays yet."""
    buyer = data.node("buyer") or data.node("customer") or data.node("student")
    address = buyer.node("address")
    number = buyer.text("cellphone") or buyer.text("phone") or buyer.text("phone2")
    return identity.ClearUser(
        email=buyer.text("email"),
        phones=phones(with_country(country_code(buyer), number)),
        full_name=buyer.text("name"),
        city=address.text("city"),
        state=address.text("state"),
        zip=address.text("zipCode") or address.text("zip_code"),
        country=address.text("country"),
    )


def _links(data: Node) -> list[Node]:
    return [_tracking.query_of(data.text(name)) for name in ("checkoutUrl", "checkout_url")]
