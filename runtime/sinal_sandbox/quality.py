"""An estimate of Event Match Quality, 0 to 10, from which identifiers an event carries.

Meta publishes the priority of the identifiers (high: e-mail, click id; medium: login, birth date,
country, phone, external id, browser id; low: lead id, names, city, postal code) and names IP
address and user agent as wanted, but not its formula. The weights below follow that order and add
up to 10 for a well-equipped web event; they compare our own events with each other and are no
promise about Meta's number.
"""

from __future__ import annotations

from functools import lru_cache

from sinal_sandbox.customer import BITS, mask_of

HIGH, MEDIUM, LOW = 2.5, 1.0, 0.4
MAX_SCORE = 10.0
WEIGHTS: dict[str, float] = {
    **dict.fromkeys(("em", "fbc"), HIGH),
    **dict.fromkeys(("fb_login_id", "db", "country", "ph", "external_id", "fbp"), MEDIUM),
    **dict.fromkeys(("lead_id", "fn", "ln", "ct", "zp"), LOW),
}
# A messaging click id names the person's click as surely as fbc does on the web.
_CLICK_IDS = mask_of("ctwa_clid", "page_scoped_user_id", "ig_sid")
_BROWSER = mask_of("client_ip_address", "client_user_agent")  # they identify only together


@lru_cache(maxsize=16_384)
def score(identifiers: int) -> float:
    """The estimate for one event's mask of identifiers, rounded to a tenth."""
    total = sum(weight for name, weight in WEIGHTS.items() if identifiers & BITS[name])
    if identifiers & _CLICK_IDS:
        total += HIGH
    if identifiers & _BROWSER == _BROWSER:
        total += MEDIUM
    return round(min(total, MAX_SCORE), 1)
