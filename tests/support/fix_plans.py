"""Fixtures of plans: a keyring and a maker of small tenants."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sinal_crds.keyring import Keyring
from sinal_crds.plan import DestinationPlan, FunnelPlan, IntegrationPlan, TenantPlan


def sha256(text: str) -> str:
    """Hex digest, as plans keep keys and tokens."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_plan(slug: str, *destinations: str, **fields: Any) -> TenantPlan:
    """A tenant with one funnel and one integration, and keys named after the slug."""
    return TenantPlan(
        slug=slug,
        namespace="lojas",
        name=slug,
        **{"uid": f"uid-{slug}", "hosts": (f"track.{slug}.example",)} | fields,
        destinations=tuple(
            DestinationPlan(name=name, pixel_id="123", access_token=f"token-of-{name}")
            for name in destinations
        ),
        funnels=(
            FunnelPlan(
                name="curso",
                type="course",
                public_key=f"fk_{slug}",
                server_key_sha256=sha256(f"sk_{slug}"),
                destinations=destinations,
            ),
        ),
        integrations=(
            IntegrationPlan(
                name="hotmart",
                gateway="hotmart",
                funnel="curso",
                token_sha256=sha256(f"token-{slug}"),
                credentials={"hottok": "s3cret"},
            ),
        ),
    )


@pytest.fixture
def keyring() -> Keyring:
    """A new installation's keyring."""
    return Keyring.generate()
