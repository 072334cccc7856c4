"""Small manifests to begin from: one tenant with one of each, and the Secret they need."""

from __future__ import annotations

import base64
from typing import Any

Manifest = dict[str, Any]
KINDS = ("Tenant", "Destination", "Funnel", "GatewayIntegration")


def _custom(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> Manifest:
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def tenant(
    name: str = "loja", *, annotations: dict[str, str] | None = None, **spec: Any
) -> Manifest:
    """A Tenant."""
    return _custom("Tenant", name, spec, **({"annotations": annotations} if annotations else {}))


def destination(
    name: str = "pixel", *, of: str = "loja", key: str = "accessToken", pixel: str = "12345678"
) -> Manifest:
    """A Destination whose token is in the Secret `keys`."""
    meta = {"pixelId": pixel, "accessTokenSecretRef": {"name": "keys", "key": key}}
    return _custom("Destination", name, {"tenantRef": of, "meta": meta})


def funnel(name: str = "curso", *, of: str = "loja", to: str = "pixel") -> Manifest:
    """A Funnel."""
    return _custom("Funnel", name, {"tenantRef": of, "destinationRefs": [to]})


def integration(name: str = "vendas", *, of: str = "loja", to: str = "curso") -> Manifest:
    """A GatewayIntegration of Hotmart whose proof is in the Secret `keys`."""
    spec = {
        "tenantRef": of,
        "funnelRef": to,
        "gateway": "hotmart",
        "credentialsSecretRef": {"name": "keys"},
    }
    return _custom("GatewayIntegration", name, spec)


def secret(name: str = "keys", **values: bytes) -> Manifest:
    """A Secret; without values the two that the shop needs."""
    data = values or {"accessToken": b"token-1", "hottok": b"hottok-1"}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def shop() -> Manifest:
    """All of them, in one List."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [secret(), tenant(), destination(), funnel(), integration()],
    }
