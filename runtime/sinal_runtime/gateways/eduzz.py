"""Eduzz: webhook v3 (JSON, signed) and the older one (flat fields, JSON or form, with a key in the body).

- Proof, v3: `x-signature` = hex HMAC-SHA256 of the raw body. Older: `origin`, or the deprecated `api_key`, compared. A
  signature decides alone: a key in the body cannot repair a wrong one.
- Status, v3: what follows the dot in `event` (`myeduzz.invoice_paid`); older: `trans_status`. 9 is a chargeback or,
  in one list, a duplicate that is never charged; neither is money that stays.
- Value: `data.price.value`, decimals; older `trans_value`, what the product costs (`trans_paid` has interest in it).
- A bump is an invoice of its own that names the main sale; a sale paid in slips is an invoice for each of them.
- Time: RFC 3339 in v3; older local dates ("20190904" or with dashes) beside local times.
- Keys are made of invoice and status, so that both generations of one fact share a key.
- Tracking: `data.utm` and `data.tracker` (code1-3); older `tracker_utm_*` and `tracker_trk`, 2, 3.
- Eduzz retries three times, keeps the rest for seven days and sends it oldest first: late and out of order is normal.

Sources: Eduzz's help page on retries and its published field list of the older webhook; public receivers of v3.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinal_runtime import identity
from sinal_runtime.gateways import NotThisGateway, _body, _eduzz_form, _keys, _methods, _money, _proof, _time, _tracking
from sinal_runtime.gateways._body import Node
from sinal_runtime.gateways._reading import Reading, phones
from sinal_runtime.gateways.sale import Product, Sale, Status, Tracking

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
    "invoice_paid": "approved",
    "invoice_canceled": "canceled",
    "invoice_expired": "expired",
    "invoice_waiting_refund": "refund_requested",
    "invoice_refunded": "refunded",
    "invoice_chargeback": "chargeback",
    "contract_updated": "subscription_changed",
    "contract_canceled": "subscription_canceled",
    "contract_delayed": "subscription_past_due",
}
_TRUST = ("code1", "code2", "code3", "sck", "src")


def verify(raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]) -> bool:
    """Whether the body is signed (v3), or carries the account's origin key (older)."""
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
    return _proof.is_one_of(body.text("origin"), secrets) or _proof.is_one_of(body.text("api_key"), secrets)


def parse(raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is no delivery of Eduzz."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    if _eduzz_form.is_delivery(body):
        return [_eduzz_form.sale(body, reading)]
    event, data = body.text("event"), body.node("data")
    if event is None or not (data or event == _PING):
        raise NotThisGateway("`event` and `data` are missing (v3), and so are `trans_cod` and `trans_status` (older)")
    family, _, word = event.rpartition(".")
    if family not in ("myeduzz", "nutror", "sun", "alpaclass") and "sentDate" not in body:
        raise NotThisGateway("`event` is not a word of Eduzz's, and `sentDate` is missing")
    status = EVENTS.get(word, "ignored")
    if data.ident("id") is None and status not in ("initiate_checkout", "ignored"):
        raise NotThisGateway("`data.id` is missing")
    return [_sale(body, event, status, reading)]


def _sale(body: Node, event: str, status: Status, reading: Reading) -> Sale:
    data = body.node("data")
    notice = status.startswith("subscription_")
    order, currency = data.ident("id"), _money.currency(data.text("price", "currency") or "BRL")
    value = _price(data, currency)
    fact = event if status == "ignored" else data.text("updatedAt") or body.text("sentDate") if notice else None
    moments = {"approved": "paidAt", "refunded": "refundedAt", "canceled": "canceledAt"}
    special = data.raw(moments[status]) if status in moments else None
    return Sale(
        gateway=NAME,
        event=event,
        event_key=_keys.event_key(NAME, order or _cart(body), status, fact),
        status=status,
        order_id=None if notice else order,
        value=value,
        currency=currency if value is not None else None,
        method=_methods.method(data.text("paymentMethod") or data.text("payment", "method")),
        installments=data.integer("installments"),
        occurred_at=reading.occurred(_time.first(special, body.raw("sentDate"), data.raw("createdAt"))),
        parent_order_id=_main_sale(data, order),
        renewal=status == "approved" and _is_later_charge(data),
        products=[_product(item, currency) for item in data.nodes("items") if item.ident("productId")],
        customer=reading.customer(_buyer(data)),
        tracking=_returned(data),
    )


def _main_sale(data: Node, order: str | None) -> str | None:
    main = data.ident("orderBump", "mainSaleId")
    return None if main in ("0", order) or data.flag("orderBump", "isMainSale") else main


def _is_later_charge(data: Node) -> bool:
    """A contract's next charge, or the next slip of a sale paid in slips: an invoice each."""
    numbers = (data.integer("contract", "chargeNumber"), data.integer("bankSlipInstallment", "installmentNumber"))
    return any(number is not None and number > 1 for number in numbers)


def _cart(body: Node) -> str:
    data, buyer = body.node("data"), _buyer(body.node("data"))
    items = [item.ident("productId") for item in data.nodes("items")]
    return _keys.fingerprint(buyer.email, buyer.phones, items, data.text("createdAt") or body.text("sentDate"))


def _product(item: Node, currency: str | None) -> Product:
    return Product(
        id=item.ident("productId"),
        name=item.text("name"),
        offer_id=item.ident("offerId"),
        quantity=max(1, item.integer("quantity") or 1),
        value=_price(item, currency),
    )


def _price(node: Node, currency: str | None) -> str | None:
    price = node.number("price", "value")
    return _money.major(node.number("price") if price is None else price, currency)


def _buyer(data: Node) -> identity.ClearUser:
    """`buyer` pays; `student` may be somebody else and stands in only where nobody pays yet."""
    buyer = data.node("buyer") or data.node("customer") or data.node("student")
    address = buyer.node("address")
    return identity.ClearUser(
        email=buyer.text("email"),
        phones=phones(buyer.text("cellphone") or buyer.text("phone") or buyer.text("phone2")),
        full_name=buyer.text("name"),
        city=address.text("city"),
        state=address.text("state"),
        zip=address.text("zipCode") or address.text("zip_code"),
        country=address.text("country"),
    )


def _returned(data: Node) -> Tracking:
    utm = data.node("utm")
    named = {name if name.startswith("utm_") else f"utm_{name}": utm.raw(name) for name in utm}
    return _tracking.read([data.node("tracker"), Node(named), utm, data.node("tracker", "utm")], trust=_TRUST)
