"""Manifests of many like tenants: a shop each with one funnel, one Hotmart account and one
pixel.
"""

from __future__ import annotations

from pathlib import Path

HOTTOK = "bench-hottok"
HOST = "curso.example"

_TENANT = """\
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {{name: {slug}}}
spec: {{plan: {{eventsPerMinute: 10000000}}}}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {{name: curso-{slug}}}
spec: {{tenantRef: {slug}, landingHosts: [{host}], destinationRefs: [{pixels}]}}
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {{name: hotmart-{slug}}}
spec: {{tenantRef: {slug}, funnelRef: curso-{slug}, gateway: hotmart, credentialsSecretRef: {{name: hotmart}}}}
---
"""
_PIXEL = """\
apiVersion: sinal.dev/v1alpha1
kind: Destination
metadata: {{name: {name}}}
spec:
  tenantRef: {slug}
  meta: {{pixelId: "{pixel}", accessTokenSecretRef: {{name: meta}}}}
  batch: {{maxEvents: {batch}, maxAgeMillis: {linger_ms}}}
---
"""
_SECRETS = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: meta}}
stringData: {{accessToken: bench-token}}
---
apiVersion: v1
kind: Secret
metadata: {{name: hotmart}}
stringData: {{hottok: {HOTTOK}}}
"""


def slugs(tenants: int) -> list[str]:
    """Slugs of so many tenants."""
    return [f"t{number:04d}" for number in range(tenants)]


def pixel_id(tenant: int) -> str:
    """Pixel of a tenant, by its number."""
    return str(9_000_000_000 + tenant)


def pixel_name(slug: str) -> str:
    """Name of a tenant's destination."""
    return f"pixel-{slug}"


def write(path: Path, *, tenants: int, batch: int = 200, linger_ms: int = 5_000) -> Path:
    """Write the manifests of so many tenants; returns the path."""
    parts = []
    for number, slug in enumerate(slugs(tenants)):
        name, pixel = pixel_name(slug), pixel_id(number)
        parts.append(_TENANT.format(slug=slug, host=HOST, pixels=name))
        parts.append(
            _PIXEL.format(slug=slug, name=name, pixel=pixel, batch=batch, linger_ms=linger_ms)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(parts) + _SECRETS)
    return path
