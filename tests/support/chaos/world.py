"""The small world of the schedules, as `manifests/chaos.yaml` declares it: who sells, and where it
must arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MANIFESTS = Path(__file__).parent.parent / "manifests" / "chaos.yaml"

HOTTOK = "demo-hottok"
KIWIFY_TOKEN = "chaos-kiwify-token"
STRIPE_SECRET = "whsec_chaos"


@dataclass(frozen=True)
class Pixel:
    """One destination; `parks`: what is in doubt waits for a person instead of being sent again."""

    name: str
    number: str
    parks: bool = False


@dataclass(frozen=True, eq=False)
class Shop:
    """One tenant; `silence_is_consent`: what its funnel makes of an event that says nothing."""

    slug: str
    funnel: str
    integrations: dict[str, str]  # gateway -> name of its integration
    pixels: tuple[Pixel, ...]
    silence_is_consent: bool


LOJA = Shop(
    slug="loja",
    funnel="curso",
    integrations={"hotmart": "hotmart", "kiwify": "kiwify", "stripe": "stripe"},
    pixels=(Pixel("pixel", "1111111111"),),
    silence_is_consent=True,
)
VIZINHA = Shop(
    slug="vizinha",
    funnel="livro",
    integrations={"hotmart": "hotmart-vizinha", "kiwify": "kiwify-vizinha"},
    pixels=(Pixel("pixel-vizinha", "2222222222"), Pixel("pixel-agencia", "3333333333", parks=True)),
    silence_is_consent=False,
)
SHOPS = {shop.slug: shop for shop in (LOJA, VIZINHA)}
PIXELS = tuple(pixel for shop in SHOPS.values() for pixel in shop.pixels)
