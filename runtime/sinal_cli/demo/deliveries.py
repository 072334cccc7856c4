"""Signed webhook deliveries of the six gateways of the journey: the samples, with its orders and
buyers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sinal_cli.samples import delivery
from sinal_cli.samples.sample import Filling
from sinal_hub.gateways import registry


@dataclass(frozen=True)
class Buyer:
    """A person of the journey; documentation domains and unassigned numbers only."""

    name: str
    email: str
    phone: str  # eleven digits, as typed into a checkout


@dataclass(frozen=True)
class DemoRequest:
    """One HTTP request as the gateway would make it."""

    gateway: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


NOBODY = Buyer("", "", "")


def encode(payload: dict[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(payload, ensure_ascii=False).encode()


def hotmart(
    order: str,
    buyer: Buyer,
    *,
    token: str,
    event: str = "PURCHASE_APPROVED",
    xcod: str | None = None,
) -> DemoRequest:
    """Hotmart 2.0.0.

    `event` is PURCHASE_APPROVED or PURCHASE_BILLET_PRINTED (which is Pix and boleto alike).
    """
    return _sample("hotmart", event, order, buyer, token, click=xcod)


def kiwify(
    order: str,
    buyer: Buyer,
    *,
    token: str,
    event: str = "order_approved",
    ip: str = "203.0.113.10",
    sck: str | None = None,
) -> DemoRequest:
    """Kiwify; `event` is order_approved or order_rejected; signed over the raw body."""
    return _sample("kiwify", event, order, buyer, token, click=sck, ip=ip)


def kiwify_signed(payload: dict[str, Any], token: str) -> DemoRequest:
    """The payload as Kiwify sends it, signed over the raw body."""
    return _signed("kiwify", encode(payload), token)


def stripe_completed(order: str, buyer: Buyer, *, secret: str, click_id: str | None) -> DemoRequest:
    """Stripe checkout.session.completed, paid, live mode."""
    return _sample("stripe", "checkout.session.completed", order, buyer, secret, click=click_id)


def stripe_refunded(order: str, *, secret: str) -> DemoRequest:
    """Stripe charge.refunded of the whole amount."""
    return _sample("stripe", "charge.refunded", order, NOBODY, secret)


def stripe_signed(payload: dict[str, Any], secret: str) -> DemoRequest:
    """The payload as Stripe sends it now."""
    return _signed("stripe", encode(payload), secret)


def perfectpay(order: str, buyer: Buyer, *, token: str, src: str | None = None) -> DemoRequest:
    """Perfect Pay, approved."""
    return _sample("perfectpay", "approved", order, buyer, token, click=src)


def appmax(order: str, buyer: Buyer, *, event: str) -> DemoRequest:
    """Appmax standard model; `event` is OrderApproved or OrderPaid; Appmax signs nothing."""
    return _sample("appmax", event, order, buyer, "")


def braip(order: str, buyer: Buyer, *, key: str, src: str | None = None) -> DemoRequest:
    """Braip, payment approved."""
    return _sample("braip", "approved", order, buyer, key, click=src)


def _sample(
    gateway: str,
    event: str,
    order: str,
    buyer: Buyer,
    secret: str,
    *,
    click: str | None = None,
    ip: str = "",
) -> DemoRequest:
    filling = Filling(
        order,
        event,
        name=buyer.name,
        email=buyer.email,
        phone=buyer.phone,
        click=click,
        ip=ip or Filling.ip,
    )
    keys = registry()[gateway].SECRET_KEYS
    made = delivery.delivery(gateway, event, filling, {keys[0]: secret} if keys else {})
    return _delivery(gateway, made)


def _signed(gateway: str, body: bytes, secret: str) -> DemoRequest:
    headers, query = delivery.SIGNERS[gateway](body, secret)
    return _delivery(gateway, delivery.SampleRequest(body, headers, query))


def _delivery(gateway: str, made: delivery.SampleRequest) -> DemoRequest:
    return DemoRequest(gateway, made.body, made.headers, urlencode(made.query))
