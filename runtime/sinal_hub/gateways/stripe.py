"""Stripe: signed events; one of Checkout, invoices or payment intents tells of a sale, the others
of what became of it.

- Proof: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 of `t.body` with the endpoint's `whsec_…` as it
  stands; any v1 and any of several secrets (comma or line separated, while one is rolled) will do;
  the stamp may be 300 s off.
- Order id: the invoice where the object is or names one (an intent does as its
  `payment_details.order_reference`), else the payment intent, else the object's own id. Session,
  charge and dispute of one payment name the same intent. Since API 2025-03-31 no charge names an
  invoice: `invoice_payment.paid` and the intent tell which payment is which invoice's (`names`),
  and matching joins them.
- What is approved: a session that is paid, a later `async_payment_succeeded`, an invoice of a new
  cycle (renewal), a payment intent that belongs to neither Checkout nor an invoice, or to the first
  invoice of a subscription. That invoice repeats its session or intent and is ignored, and so is
  the intent of every other invoice.
- Nothing to pay: a subscription's session or first invoice of 0 begins a trial, a cycle of 0 is not
  a sale; both are `subscription_changed`. What is charged first after a trial looks like a renewal:
  only matching knows (`trial`, `subscription_id`). A session of mode `payment` for 0 is an approved
  order that was free.
- A dispute that begins as an inquiry (`warning_…`) asks for the money; it is a chargeback once
  funds are withdrawn.
- Value: minor units; currencies without decimals have none. A partial refund keeps the sale's value
  and gives `refunded_value`.
- Time: the event's `created` (epoch seconds UTC). `livemode: false` is a test.
- Tracking: `client_reference_id`, else metadata; refunds and renewals carry the metadata of intent
  and subscription only.
- Line items are not in a session's event: products come from invoices, else from
  `metadata.product_id` and the payment link.

Sources: Stripe's API reference and its published event fixtures; tolerance as in its own libraries.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping

from msgspec import UNSET

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _methods,
    _proof,
    _stripe_objects,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Client, Sale, Status, Tracking

NAME = "stripe"
SECRET_KEYS: tuple[str, ...] = ("webhookSecret",)
AUTHENTICATES = True
TOLERANCE_S = 300

EVENTS: dict[str, Status] = {
    "checkout.session.completed": "approved",
    "checkout.session.async_payment_succeeded": "approved",
    "checkout.session.async_payment_failed": "canceled",
    "checkout.session.expired": "expired",
    "payment_intent.succeeded": "approved",
    "payment_intent.payment_failed": "refused",
    "payment_intent.canceled": "canceled",
    "invoice.paid": "approved",
    "invoice.payment_succeeded": "approved",
    "invoice.payment_failed": "subscription_past_due",
    "charge.refunded": "refunded",
    "charge.dispute.created": "chargeback",
    "charge.dispute.funds_withdrawn": "chargeback",  # also of an inquiry that became one
    "charge.dispute.closed": "chargeback",
    "customer.subscription.deleted": "subscription_canceled",
    "customer.subscription.updated": "subscription_changed",
}
# Repeats of the above that users tick as well; they are no sign of a changed API.
MEANINGLESS = frozenset(EVENTS) | {
    "charge.succeeded",
    "charge.updated",
    "charge.failed",
    "charge.pending",
    "charge.captured",
    "charge.expired",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.funds_reinstated",
    "charge.dispute.updated",
    "payment_intent.created",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.amount_capturable_updated",
    "payment_intent.partially_funded",
    "payment_method.attached",
    "setup_intent.created",
    "setup_intent.succeeded",
    "invoice.created",
    "invoice.finalized",
    "invoice.updated",
    "invoice.finalization_failed",
    "invoice.upcoming",
    "invoice_payment.paid",
    "customer.subscription.trial_will_end",
    "customer.created",
    "customer.updated",
    "customer.subscription.created",
}
_INQUIRY = "warning_"  # a bank's question about a charge: no money has moved
_CLICK_SLOTS = ("client_reference_id", "click_id", "sinal_click_id", "xcod", "sck", "src")
_IP_SLOTS = ("client_ip_address", "client_ip", "ip")
_AGENT_SLOTS = ("client_user_agent", "user_agent")
_SEPARATORS = r"[\s,]+"
_STAMP = re.compile(r"\d{1,12}", re.ASCII)


def verify(
    raw: bytes,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    secret: Mapping[str, str],
    *,
    now: float | None = None,
) -> bool:
    """Whether an endpoint's secret signed these bytes within 300 s of `now` (Unix s, default the
    clock).
    """
    stamps, signatures = _signature_parts(_proof.header(headers, "stripe-signature") or "")
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        return False
    if abs((time.time() if now is None else now) - int(stamps[0])) > TOLERANCE_S:
        return False
    message = stamps[0].encode() + b"." + raw
    secrets = _proof.secrets_of(secret, "webhookSecret", separators=_SEPARATORS)
    expected = [hmac.new(key, message, hashlib.sha256).hexdigest() for key in secrets]
    return any([_proof.same_hex(given, digest) for given in signatures for digest in expected])


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not an event of Stripe."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    kind, thing = body.text("type"), body.node("data", "object")
    if kind is None:
        raise NotThisGateway("`type` is missing")
    if not thing:
        raise NotThisGateway("`data.object` is missing or empty")
    if body.text("object") != "event" and not (body.ident("id") or "").startswith("evt_"):
        raise NotThisGateway('`object` is not "event"')
    status, order = _status(kind, thing), _stripe_objects.order_id(thing)
    if status == "ignored":
        return [_ignored(body, kind, thing, reading)]
    if order is None and not status.startswith("subscription_"):
        raise NotThisGateway("`data.object.id` is missing")
    return [_sale(body, kind, status, order, reading)]


def _signature_parts(given: str) -> tuple[list[str], list[str]]:
    pairs = [part.strip().partition("=") for part in given.split(",")[:50]]
    stamps = [value for name, _, value in pairs if name == "t"]
    return stamps, [value for name, _, value in pairs if name == "v1"]


def _status(kind: str, thing: Node) -> Status:
    """What the event's type says, corrected by the object it is about."""
    status = EVENTS.get(kind, "ignored")
    family = kind.rpartition(".")[0]
    if kind == "checkout.session.completed":
        status = _session_status(thing)
    elif kind == "charge.dispute.closed":
        status = _dispute_status(thing.text("status") or "")
    elif status == "chargeback" and (thing.text("status") or "").startswith(_INQUIRY):
        status = "refund_requested"
    elif kind == "charge.refunded":
        status = _refund_status(thing)
    elif kind == "customer.subscription.updated" and thing.text("status") in ("past_due", "unpaid"):
        status = "subscription_past_due"
    elif family == "payment_intent" and not _is_own_payment(thing):
        status = "ignored"
    elif family == "invoice":
        status = _invoice_status(status, thing)
    return status


def _is_own_payment(intent: Node) -> bool:
    """Whether an intent tells of a sale that no other event tells of.

    A subscription's first payment through a form of one's own has no session, and its invoice
    repeats it.
    """
    if _stripe_objects.is_of_checkout(intent) or _stripe_objects.is_of_an_invoice(intent):
        return False
    return (
        _stripe_objects.invoice(intent) is None
        or intent.text("description") == "Subscription creation"
    )


def _refund_status(charge: Node) -> Status:
    if _stripe_objects.is_pending_refund(charge):
        return "refund_requested"
    return "partially_refunded" if _stripe_objects.is_partial_refund(charge) else "refunded"


def _session_status(session: Node) -> Status:
    if session.text("mode") == "setup":
        return "ignored"
    if session.text("mode") == "subscription" and _stripe_objects.is_nothing(session):
        return "subscription_changed"
    return (
        "approved"
        if session.text("payment_status") in ("paid", "no_payment_required")
        else "pending"
    )


def _dispute_status(word: str) -> Status:
    if word in ("won", "warning_closed"):
        return "chargeback_won"
    return "chargeback" if word == "lost" else "ignored"


def _invoice_status(status: Status, invoice: Node) -> Status:
    """Only a new cycle is a sale of its own.

    Other paid invoices repeat a session, or were never sold in a funnel.
    """
    reason = invoice.text("billing_reason") or ""
    if status != "approved":
        return status if reason.startswith("subscription") else "ignored"
    if _stripe_objects.is_nothing(invoice):
        return (
            "subscription_changed"
            if reason in ("subscription_cycle", "subscription_create")
            else "ignored"
        )
    return "approved" if reason == "subscription_cycle" else "ignored"


def _begins_trial(status: Status, thing: Node) -> bool:
    """Whether a subscription begins here with nothing to pay.

    A cycle of nothing later on is not a beginning.
    """
    if status != "subscription_changed" or not _stripe_objects.is_nothing(thing):
        return False
    return (
        thing.text("object") == "checkout.session"
        or thing.text("billing_reason") == "subscription_create"
    )


def _sale(body: Node, kind: str, status: Status, order: str | None, reading: Reading) -> Sale:
    thing = body.node("data", "object")
    is_notice = status.startswith("subscription_")
    value, currency = _stripe_objects.price(thing)
    metadata = _stripe_objects.metadata(thing)
    in_person = _stripe_objects.is_in_person(thing)
    return Sale(
        gateway=NAME,
        event=kind,
        event_key=_event_key(body, kind, status, order),
        status=status,
        order_id=None if is_notice else order,
        value=value,
        currency=currency,
        method=_methods.method(_stripe_objects.method_word(thing)),
        installments=thing.integer(
            "payment_method_details", "card", "installments", "plan", "count"
        ),
        occurred_at=reading.occurred(_time.first(body.raw("created"), thing.raw("created"))),
        test=_is_test(body),
        renewal=kind.startswith("invoice.") and status == "approved",
        products=_stripe_objects.products(thing, metadata, value, currency),
        customer=reading.customer(_buyer(thing)),
        tracking=_returned(thing, metadata),
        client=Client() if in_person else _client(metadata),
        refunded_value=_stripe_objects.refunded(thing, status),
        names=UNSET if is_notice else _stripe_objects.names(thing),
        subscription_id=_stripe_objects.subscription(thing) or UNSET,
        trial=_begins_trial(status, thing) or UNSET,
        in_person=in_person or UNSET,
    )


def _event_key(body: Node, kind: str, status: Status, order: str | None) -> str:
    """Order and status, and what may differ between two of them: the refunded total, the dispute,
    the notice itself.
    """
    thing, fact = body.node("data", "object"), None
    if status in ("refunded", "partially_refunded"):
        fact = thing.text("amount_refunded")
    elif status in ("chargeback", "chargeback_won"):
        fact = thing.ident("id")
    elif status.startswith("subscription_"):
        order, fact = (
            thing.ident("id"),
            None if status == "subscription_canceled" else body.ident("id"),
        )
    elif kind == "payment_intent.succeeded":
        fact = (
            # the intent of a session may come first; the session must still be read for its click
            # id
            "payment_intent"
        )
    return keys.event_key(NAME, order, status, fact)


def _ignored(body: Node, kind: str, thing: Node, reading: Reading) -> Sale:
    """An event that repeats another or means nothing to us: who it is about is not kept."""
    fact = body.ident("id") or keys.fingerprint(kind, thing.ident("id"), body.text("created"))
    is_payment = _stripe_objects.is_payment(thing)
    return Sale(
        gateway=NAME,
        event=kind,
        event_key=keys.event_key(NAME, fact, "ignored"),
        status="ignored",
        order_id=_stripe_objects.order_id(thing) if is_payment else None,
        occurred_at=reading.occurred(_time.first(body.raw("created"), thing.raw("created"))),
        test=_is_test(body),
        names=(_stripe_objects.names(thing) or UNSET) if is_payment else UNSET,
    )


def _is_test(body: Node) -> bool:
    live = body.flag("livemode")
    return (body.flag("data", "object", "livemode") if live is None else live) is False


def _buyer(thing: Node) -> identity.ClearUser:
    person, address = _stripe_objects.person(thing), _stripe_objects.address(thing)
    return identity.ClearUser(
        email=person.text("email"),
        phones=phones(person.text("phone")),
        full_name=person.text("name"),
        city=address.text("city"),
        state=address.text("state"),
        zip=address.text("postal_code"),
        country=address.text("country"),
    )


def _returned(thing: Node, metadata: list[Node]) -> Tracking:
    # Not the object itself: its own fields may have a slot's name and another meaning.
    reference = Node({"client_reference_id": thing.text("client_reference_id")})
    return _tracking.read([reference, *metadata], trust=_CLICK_SLOTS)


def _client(metadata: list[Node]) -> Client:
    def find(slots: tuple[str, ...]) -> str | None:
        return next(
            (text for node in metadata for slot in slots if (text := node.text(slot))), None
        )

    return _tracking.client(find(_IP_SLOTS), find(_AGENT_SLOTS))
