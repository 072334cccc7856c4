"""What each gateway wants to hear when its delivery was taken, and how long it waits for that.

Whoever hears something else counts a failure, sends the same again, and at last switches the
webhook off. Every sender takes 202, what the edge says of its own, but those that are listed with
another code. A package of another says it in its module as `ACCEPTED`.
"""

from __future__ import annotations

from typing import NamedTuple

from sinal_hub.gateways import Gateway

ACCEPTED = 202  # stored, and worked off later


class Expectation(NamedTuple):
    """The code that means "taken", seconds until the sender gives up (None: not documented), and
    what follows.
    """

    code: int = ACCEPTED
    within_s: float | None = None
    otherwise: str = ""


EXPECTED: dict[str, Expectation] = {
    "appmax": Expectation(within_s=10, otherwise="sent again, four times in all"),
    "braip": Expectation(),
    "cakto": Expectation(),
    "cartpanda": Expectation(),
    # Eduzz's README of webhook v2: any other status is a failed delivery.
    "eduzz": Expectation(
        200, otherwise="the URL cannot be saved; ten tries, then it is switched off"
    ),
    "hotmart": Expectation(otherwise="sent again for hours; the webhook is switched off"),
    "kirvano": Expectation(),
    "kiwify": Expectation(within_s=5, otherwise="sent again; redirects are not followed"),
    "lastlink": Expectation(),
    # Mercado Pago's page on notifications: 200 or 201.
    "mercadopago": Expectation(200, within_s=22, otherwise="sent again for days"),
    "monetizze": Expectation(),
    "pagbank": Expectation(),
    "perfectpay": Expectation(),
    "pushinpay": Expectation(),
    "shopify": Expectation(
        within_s=5, otherwise="eight tries in four hours, then the webhook is removed"
    ),
    "stripe": Expectation(otherwise="sent again for three days; redirects are failures"),
    "syncpay": Expectation(),
    "ticto": Expectation(),
    # Yampi's page on webhooks speaks of 2xx, its panel of 200 and 201.
    "yampi": Expectation(200, within_s=5, otherwise="switched off after 30 failures"),
}


def accepted(gateway: Gateway) -> int:
    """The status that this gateway takes for "taken"."""
    known = EXPECTED.get(gateway.NAME)
    return known.code if known is not None else int(getattr(gateway, "ACCEPTED", ACCEPTED))
