"""Signed webhook deliveries of the six gateways, from captured payloads with fresh orders, dates and buyers."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

SAO_PAULO = ZoneInfo("America/Sao_Paulo")


@dataclass(frozen=True)
class Buyer:
    """A person of the journey; documentation domains and unassigned numbers only."""

    name: str
    email: str
    phone: str  # eleven digits, as typed into a checkout


@dataclass(frozen=True)
class Delivery:
    """One HTTP request as the gateway would make it."""

    gateway: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


@cache
def _template(name: str) -> Any:
    return json.loads((resources.files(__package__) / "payloads" / f"{name}.json").read_text())


def template(name: str) -> dict[str, Any]:
    """A fresh copy of a captured payload."""
    payload: dict[str, Any] = copy.deepcopy(_template(name))
    return payload


def encode(payload: dict[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(payload, ensure_ascii=False).encode()


def local_time(pattern: str) -> str:
    """Now as gateways without a time zone write it."""
    return datetime.now(SAO_PAULO).strftime(pattern)


def hotmart(
    order: str, buyer: Buyer, *, token: str, event: str = "PURCHASE_APPROVED", xcod: str | None = None
) -> Delivery:
    """Hotmart 2.0.0; `event` is PURCHASE_APPROVED or PURCHASE_BILLET_PRINTED (which is Pix and boleto alike)."""
    payload = template("hotmart_approved")
    now_ms = int(time.time() * 1000)
    status = {"PURCHASE_APPROVED": "APPROVED", "PURCHASE_BILLET_PRINTED": "BILLET_PRINTED"}[event]
    payload.update(id=_uuid(order + event), event=event, creation_date=now_ms)
    purchase = payload["data"]["purchase"]
    purchase.update(transaction=order, status=status, order_date=now_ms - 60_000, approved_date=now_ms)
    if xcod is not None:
        purchase["origin"] = {"xcod": xcod}
    first, _, last = buyer.name.partition(" ")
    payload["data"]["buyer"].update(
        name=buyer.name, first_name=first, last_name=last, email=buyer.email, checkout_phone=buyer.phone
    )
    return Delivery("hotmart", encode(payload), {"X-HOTMART-HOTTOK": token})


def kiwify(
    order: str,
    buyer: Buyer,
    *,
    token: str,
    event: str = "order_approved",
    ip: str = "203.0.113.10",
    sck: str | None = None,
) -> Delivery:
    """Kiwify; `event` is order_approved or order_rejected; signed over the raw body."""
    payload = template("kiwify_approved")
    now = local_time("%Y-%m-%d %H:%M")
    payload.update(
        order_id=order,
        webhook_event_type=event,
        order_status={"order_approved": "paid", "order_rejected": "refused"}[event],
        created_at=now,
        updated_at=now,
        approved_date=now if event == "order_approved" else None,
        card_rejection_reason=None if event == "order_approved" else "insufficient_funds",
    )
    payload["Customer"].update(
        full_name=buyer.name, first_name=buyer.name.split()[0], email=buyer.email, mobile="+55" + buyer.phone, ip=ip
    )
    payload["TrackingParameters"] = {**dict.fromkeys(payload["TrackingParameters"]), "sck": sck}
    return kiwify_signed(payload, token)


def kiwify_signed(payload: dict[str, Any], token: str) -> Delivery:
    """The payload as Kiwify sends it, signed over the raw body."""
    body = encode(payload)
    signature = hmac.new(token.encode(), body, hashlib.sha1).hexdigest()
    return Delivery("kiwify", body, query=f"signature={signature}")


def stripe_completed(order: str, buyer: Buyer, *, secret: str, click_id: str | None) -> Delivery:
    """Stripe checkout.session.completed, paid, live mode."""
    payload = template("stripe_completed")
    now = int(time.time())
    payload.update(id="evt_" + _hex(order + "completed"), created=now, livemode=True)
    session = payload["data"]["object"]
    session.update(
        id="cs_live_" + _hex(order), payment_intent=order, created=now, livemode=True, client_reference_id=click_id,
        amount_total=19_700, amount_subtotal=19_700, currency="brl", payment_status="paid", mode="payment",
    )  # fmt: skip
    session["customer_details"].update(name=buyer.name, email=buyer.email, phone="+55" + buyer.phone)
    return stripe_signed(payload, secret)


def stripe_refunded(order: str, *, secret: str) -> Delivery:
    """Stripe charge.refunded of the whole amount."""
    payload = template("stripe_refunded")
    now = int(time.time())
    payload.update(id="evt_" + _hex(order + "refunded"), created=now, livemode=True)
    payload["data"]["object"].update(
        id="ch_" + _hex(order), payment_intent=order, created=now, livemode=True, currency="brl",
        amount=19_700, amount_captured=19_700, amount_refunded=19_700, refunded=True,
    )  # fmt: skip
    return stripe_signed(payload, secret)


def perfectpay(order: str, buyer: Buyer, *, token: str, src: str | None = None) -> Delivery:
    """Perfect Pay, approved."""
    payload = template("perfectpay_approved")
    now = local_time("%Y-%m-%d %H:%M:%S")
    payload.update(token=token, code=order, date_created=now, date_approved=now)
    payload["customer"].update(
        full_name=buyer.name, email=buyer.email, phone_area_code=buyer.phone[:2], phone_number=buyer.phone[2:]
    )
    payload["metadata"] = {**dict.fromkeys(payload["metadata"]), "src": src}
    return Delivery("perfectpay", encode(payload))


def appmax(order: str, buyer: Buyer, *, event: str) -> Delivery:
    """Appmax standard model; `event` is OrderApproved or OrderPaid; Appmax signs nothing."""
    payload = template("appmax_approved")
    payload["event"] = event
    now = local_time("%Y-%m-%d %H:%M:%S")
    payload["data"].update(id=int(order), customer_id=int(order), created_at=now, paid_at=now, visit=[])
    first, _, last = buyer.name.partition(" ")
    payload["data"]["customer"].update(firstname=first, lastname=last, email=buyer.email, telephone=buyer.phone)
    return Delivery("appmax", encode(payload))


def braip(order: str, buyer: Buyer, *, key: str, src: str | None = None) -> Delivery:
    """Braip, payment approved."""
    payload = template("braip_approved")
    now = local_time("%Y-%m-%d %H:%M:%S")
    payload.update(
        basic_authentication=key, trans_key=order, trans_createdate=now, trans_updatedate=now, trans_payment_date=now,
        client_name=buyer.name, client_email=buyer.email, client_cel=f"55 {buyer.phone}", meta={"src": src},
    )  # fmt: skip
    return Delivery("braip", encode(payload))


def stripe_signed(payload: dict[str, Any], secret: str) -> Delivery:
    """The payload as Stripe sends it now."""
    body = encode(payload)
    stamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return Delivery("stripe", body, {"Stripe-Signature": f"t={stamp},v1={signature}"})


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _uuid(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
