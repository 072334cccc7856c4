"""Meta's rules, applied to one event before it is sent: an event that would be refused must not
cost its batch the delivery.

The age is judged here and not when the event was made, because it may have waited. What the
pre-check lets through and Meta still refuses is isolated by bisection.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from sinal_hub import identity
from sinal_hub.meta.user_data import HASHED, identifies

MAX_AGE_S = 7 * 86_400  # 2804003
MAX_AGE_STORE_S = 62 * 86_400  # of physical_store
AGE_MARGIN_S = 30  # the request takes a while to arrive
MAX_AHEAD_S = 60  # a clock that is a little fast; beyond it 2804004

ACTION_SOURCES = frozenset(
    {
        "email",
        "website",
        "app",
        "phone_call",
        "chat",
        "physical_store",
        "system_generated",
        "business_messaging",
        "other",
    }
)
_is_digest = re.compile(r"[0-9a-f]{64}").fullmatch
_CURRENCY = re.compile(r"[A-Za-z]{3}")

# Ways out that the manifest check takes, and that `pricing` applies to what waits or is replayed.
SET_VALUE = """say what the funnel's sales are worth, such as `value: {source: Fixed, fixed: "97.00", currency: BRL}`"""
SET_CURRENCY = (
    "say in the funnel which currency a value without one is in, such as `value: {currency: BRL}`"
)

Reason = Literal["too_old", "rejected", "unidentifiable"]


class InvalidEvent(ValueError):
    """Meta would refuse the event; `reason` is the stable word.

    The message names the field and never its value, and the way out where there is one.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


def check(payload: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The event as it may be sent at `now` (Unix s): clock clamped, unusable `fbc` left out.

    Raises Invalid.
    """
    event = dict(payload)
    for field in ("event_name", "event_id"):
        if not isinstance(event.get(field), str) or not event[field]:
            raise InvalidEvent("rejected", f"{field} is missing")
    event["event_time"] = _time(event, now)
    user = event.get("user_data")
    if not isinstance(user, dict):
        raise InvalidEvent("rejected", "user_data is missing")
    event["user_data"] = _user(user, now)
    _source(event)
    custom = event.get("custom_data", {})
    if not isinstance(custom, dict):
        raise InvalidEvent("rejected", "custom_data is not an object")
    _money(event["event_name"], custom)
    _contents(custom)
    return event


def _time(event: Mapping[str, Any], now: float) -> int:
    at = event.get("event_time")
    if not isinstance(at, int) or isinstance(at, bool):
        raise InvalidEvent("rejected", "event_time is not a whole number of seconds")
    limit_s = MAX_AGE_STORE_S if event.get("action_source") == "physical_store" else MAX_AGE_S
    if now - at > limit_s - AGE_MARGIN_S:
        raise InvalidEvent("too_old", f"event_time is older than {limit_s // 86_400} days")
    if at - now > MAX_AHEAD_S:
        raise InvalidEvent("rejected", f"event_time is {int(at - now)} s in the future")
    # Meta does not document how far ahead of its clock it takes a time, so no event leaves with a
    # time that is ahead.
    return min(at, int(now))


def _user(user: dict[str, Any], now: float) -> dict[str, Any]:
    for field in HASHED:
        if (digests := user.get(field)) is not None and not _are_digests(digests):
            raise InvalidEvent(
                "rejected", f"user_data.{field} holds a value that is not a SHA-256 digest"
            )
    fbc = user.get("fbc")
    # The field goes and the event stays: Meta would refuse all of it, with its batch (2804001).
    if fbc is not None and identity.usable_fbc(fbc, int(now * 1000)) is None:
        user = {field: value for field, value in user.items() if field != "fbc"}
    if not identifies(user):
        raise InvalidEvent(
            "unidentifiable",
            "user_data identifies nobody: it needs an e-mail, a phone, a click "
            "or address and browser",
        )
    return user


def _are_digests(value: Any) -> bool:
    """Whether it is a digest or a list of them."""
    for one in value if isinstance(value, list) else (value,):
        if not isinstance(one, str) or not _is_digest(one):
            return False
    return True


def _source(event: Mapping[str, Any]) -> None:
    source = event.get("action_source")
    if source not in ACTION_SOURCES:
        raise InvalidEvent("rejected", "action_source is missing or unknown")
    if source == "website":
        if not event.get("event_source_url"):
            raise InvalidEvent(
                "rejected",
                "event_source_url is missing, a website event needs it: send the page's `url`",
            )
        if not event["user_data"].get("client_user_agent"):
            raise InvalidEvent(
                "rejected",
                "user_data.client_user_agent is missing, a website event needs it: send the "
                "visitor's "
                "`client.user_agent`",
            )


def _money(event_name: str, custom: Mapping[str, Any]) -> None:
    value, currency = custom.get("value"), custom.get("currency")
    if value is not None and not (_is_number(value) and math.isfinite(value)):
        raise InvalidEvent("rejected", "custom_data.value is not a number")
    if currency is not None and not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        raise InvalidEvent("rejected", "custom_data.currency is not three letters")
    if event_name == "Purchase" and value is None:
        raise InvalidEvent(
            "rejected", f"custom_data.value is missing, a Purchase needs it: {SET_VALUE}"
        )
    if currency is None and (value is not None or event_name == "Purchase"):
        raise InvalidEvent(
            "rejected", f"custom_data.currency is missing, a value needs it: {SET_CURRENCY}"
        )
    if event_name == "Purchase" and value is not None and value < 0:
        raise InvalidEvent("rejected", "custom_data.value is negative, Meta knows no refund event")


def _contents(custom: Mapping[str, Any]) -> None:
    for place, item in enumerate(custom.get("contents", ())):
        if not isinstance(item, dict) or not item.get("id"):
            raise InvalidEvent("rejected", f"custom_data.contents[{place}].id is missing")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
