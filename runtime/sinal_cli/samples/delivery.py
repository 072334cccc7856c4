"""A sample as one HTTP request: its body, and the proof that its gateway would add.

The schemes are those that `docs/users/gateways.md` names and `sinal_hub.gateways` checks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

import msgspec

from sinal_cli.samples import sample
from sinal_cli.samples.sample import Filling
from sinal_hub.gateways import registry

Proof = tuple[dict[str, str], dict[str, str]]  # headers and query


@dataclass(frozen=True)
class SampleRequest:
    """One POST; the URL is the integration's."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def url(self, base: str) -> str:
        """The integration's URL with what the gateway adds to it."""
        return f"{base}?{urlencode(self.query)}" if self.query else base


def delivery(gateway: str, word: str, filling: Filling, secret: Mapping[str, str]) -> SampleRequest:
    """A signed sample of this event; raises NoSample.

    `secret` is what the integration's Secret holds.
    """
    word, event = sample.find(gateway, word)
    sample.check_order(gateway, filling.order)
    keys = registry()[gateway].SECRET_KEYS
    key = secret_of(secret, keys[0]) if keys else ""
    body = sample.body(gateway, event, replace(filling, event=word, secret=key))
    sign = SIGNERS.get(gateway)
    headers, query = sign(body, key) if sign else ({}, {})
    return SampleRequest(body, {"Content-Type": "application/json", **headers}, query)


def secret_of(secret: Mapping[str, str], key: str) -> str:
    """The newest of the values in a key of a Secret, where several stand while one is replaced."""
    values = [line.strip() for line in secret.get(key, "").splitlines() if line.strip()]
    return values[-1] if values else ""


def needs(gateway: str) -> str | None:
    """The key of the Secret that proves a delivery, if the gateway proves them."""
    return next(iter(registry()[gateway].SECRET_KEYS), None)


def _hmac(key: str, message: bytes) -> bytes:
    return hmac.new(key.encode(), message, hashlib.sha256).digest()


def _kiwify(body: bytes, key: str) -> Proof:
    return {}, {"signature": hmac.new(key.encode(), body, hashlib.sha1).hexdigest()}


def _stripe(body: bytes, key: str) -> Proof:
    stamp = str(int(time.time()))
    return {
        "Stripe-Signature": f"t={stamp},v1={_hmac(key, stamp.encode() + b'.' + body).hex()}"
    }, {}


def _base64(header: str) -> Callable[[bytes, str], Proof]:
    return lambda body, key: ({header: base64.b64encode(_hmac(key, body)).decode()}, {})


def _token(header: str) -> Callable[[bytes, str], Proof]:
    return lambda _, key: ({header: key}, {})


def _mercadopago(body: bytes, key: str) -> Proof:
    subject = str(msgspec.json.decode(body)["data"]["id"])
    stamp, request = str(int(time.time())), f"sample-{subject}"
    manifest = f"id:{subject};request-id:{request};ts:{stamp};"
    signature = f"ts={stamp},v1={_hmac(key, manifest.encode()).hex()}"
    return {"X-Signature": signature, "X-Request-Id": request}, {
        "data.id": subject,
        "type": "payment",
    }


def _pagbank(body: bytes, key: str) -> Proof:
    return {"X-Authenticity-Token": hashlib.sha256(key.encode() + b"-" + body).hexdigest()}, {}


# Gateways that are not here prove nothing, or with a secret in the body.
SIGNERS: dict[str, Callable[[bytes, str], Proof]] = {
    "hotmart": _token("X-HOTMART-HOTTOK"),
    "kiwify": _kiwify,
    "stripe": _stripe,
    "eduzz": lambda body, key: ({"X-Signature": _hmac(key, body).hex()}, {}),
    "lastlink": _token("X-Lastlink-Token"),
    "shopify": _base64("X-Shopify-Hmac-Sha256"),
    "yampi": _base64("X-Yampi-Hmac-Sha256"),
    "pushinpay": _token("X-PushinPay-Token"),
    "mercadopago": _mercadopago,
    "pagbank": _pagbank,
}
