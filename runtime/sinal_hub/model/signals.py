"""The one table of signals: what may tie a sale to a click, and how much each is worth.

docs/users/matching.md explains it. `sure` signals prove the visitor, `near` ones name the same ad
click or browser, `hint` signals only add up. A weight is the probability that the click is the
sale's when nothing but that signal agrees.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Strength = Literal["sure", "near", "hint"]


class Signal(msgspec.Struct, frozen=True):
    """One row of the table.

    Signals of one `group` say the same thing twice, so only the strongest of them counts.
    """

    name: str
    strength: Strength
    weight: float
    group: str


SIGNALS: tuple[Signal, ...] = (
    Signal("click_id", "sure", 1.0, "visitor"),
    Signal("session_id", "sure", 1.0, "visitor"),
    Signal("email", "sure", 1.0, "person"),
    Signal("phone", "sure", 1.0, "person"),
    Signal("click_id_case", "near", 0.95, "visitor"),
    Signal("known_browser", "near", 0.95, "browser"),
    Signal("external_id", "near", 0.95, "browser"),
    Signal("fbc", "near", 0.95, "browser"),
    Signal("fbclid", "near", 0.95, "browser"),
    Signal("fbp", "near", 0.95, "browser"),
    Signal("click_id_part", "near", 0.90, "visitor"),
    Signal("ip_user_agent", "near", 0.85, "network"),
    Signal("ip", "hint", 0.45, "network"),
    Signal("email_shared", "hint", 0.30, "person"),
    Signal("phone_shared", "hint", 0.30, "person"),
    Signal("user_agent", "hint", 0.15, "device"),
    Signal("utm", "hint", 0.25, "campaign"),
    Signal("product", "hint", 0.15, "product"),
    Signal("hour", "hint", 0.15, "time"),
)
BY_NAME: dict[str, Signal] = {signal.name: signal for signal in SIGNALS}
ORDER: dict[str, int] = {signal.name: place for place, signal in enumerate(SIGNALS)}
RANKS: dict[str, int] = ORDER | {"phone": ORDER["email"]}  # one rank: then time counts

OWN = ("click_id", "session_id")  # our own ids: the sale names the click itself
PERSON = ("email", "phone")
COOKIES = ("external_id", "fbc", "fbp")  # of the browser that went through the checkout
# Rules that recognise a browser: of its ad clicks before the purchase the last counts.
BROWSERS = tuple(signal.name for signal in SIGNALS if signal.strength != "hint")

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

FRESH_MS = 30 * MINUTE_MS  # address and user agent are worth their full weight that long
# and half as much with each of these after it: mobile networks hand addresses on
HALF_LIFE_MS = 2 * HOUR_MS
ADDRESS_WINDOW_MS = 24 * HOUR_MS  # an address says nothing after that
CLOCK_SKEW_MS = 5 * MINUTE_MS  # a gateway's clock may run behind the browser's
PROOF_MS = 30 * 24 * HOUR_MS  # whose browser it is stays true longer than a click counts
# our own id in the sale proves the order of things, whatever the clocks say
SURE_SKEW_MS = 24 * HOUR_MS
HINTS_AT_MOST = 0.84  # hints alone never reach a match under the default threshold
TIE = 0.05  # candidates closer than that cannot be told apart
CONTRADICTED = 0.72  # the visitor gave another e-mail or phone than the buyer
DOUBTED = 0.9  # the same e-mail, and another phone
MAX_PER_KEY = 200  # visits that share one id with a sale; more are a link that went round
MAX_PER_ADDRESS = 20  # visitors of one address that are looked at; it is shared long before


def faded(age_ms: int) -> float:
    """Weight of `ip_user_agent` when the visit was `age_ms` from the sale."""
    weight = BY_NAME["ip_user_agent"].weight
    if age_ms <= FRESH_MS:
        return weight
    return float(weight * 0.5 ** ((age_ms - FRESH_MS) / HALF_LIFE_MS))


def shared(weight: float, visitors: int) -> float:
    """What an address is still worth when several visitors used it (households, offices, CGNAT)."""
    return float(weight / max(visitors, 1) ** 0.5)
