"""Which keys a gateway's credentials Secret must hold.

The same words as `SECRET_KEYS` of its adapter.

The table is here, and not read from the adapters, because the operator checks Secrets without the
runtime; a test compares the two.
"""

from __future__ import annotations

from types import MappingProxyType

_KEYS = MappingProxyType(
    {
        "hotmart": ("hottok",),
        "kiwify": ("token",),
        "stripe": ("webhookSecret",),
        "perfectpay": ("token",),
        "appmax": (),
        "braip": ("basicAuthentication",),
        "kirvano": (),
        "cakto": ("secret",),
        "monetizze": ("chaveUnica",),
        "pushinpay": ("token",),
        "syncpay": (),
        "eduzz": ("secret",),
        "ticto": ("token",),
        "lastlink": ("token",),
        "shopify": ("webhookSecret",),
        "yampi": ("webhookSecret",),
        "cartpanda": (),
        "mercadopago": ("webhookSecret",),
        "pagbank": ("token",),
    }
)

# For the calls that read a sale back; without them only that is missing.
_OPTIONAL = MappingProxyType({"mercadopago": ("accessToken",), "pagbank": ("email",)})


def required_keys(gateway: str) -> tuple[str, ...]:
    """Keys of the credentials Secret of that gateway.

    Empty for one that sends no proof, and for one of others.
    """
    return _KEYS.get(gateway, ())


def optional_keys(gateway: str) -> tuple[str, ...]:
    """Keys that the credentials Secret of that gateway may hold besides."""
    return _OPTIONAL.get(gateway, ())
