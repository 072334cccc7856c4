"""What `user_data` may hold: hashed contact data, clear technical ids, and enough of them to find a
person.

`check` returns which identifiers are there as a bit mask, so that quality estimates need no second
look. The hash of the field's empty value is a hash like any other to Meta; it is accepted here too
and does not count as an identifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from sinal_sandbox.refusals import BAD_FBC, BAD_LEAD_ID, TOO_LITTLE_CUSTOMER_DATA, EventRefusal

HASHED = ("em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country")
PLAIN = (
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "ctwa_clid",
    "page_id",
    "page_scoped_user_id",
    "ig_account_id",
    "ig_sid",
    "madid",
    "anon_id",
    "whatsapp_business_account_id",
    "instagram_business_account_id",
)
BITS: dict[str, int] = {name: 1 << place for place, name in enumerate((*HASHED, *PLAIN))}

# SHA-256 of nothing
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# A hash may carry the Parameter Builder's appendix: 8 base64url characters, or one of the legacy
# tokens.
_HASH = re.compile(r"[0-9a-f]{64}(?:\.(?:[\w-]{8}|A[Qgw]|B[AQg]))?", re.ASCII).fullmatch
_CLICK_TIME = re.compile(r"[0-9]{13}").fullmatch  # milliseconds
_LEAD_ID = re.compile(r"[0-9]{15,16}").fullmatch


def mask_of(*names: str) -> int:
    """The bits of these fields."""
    return sum(BITS[name] for name in names)


# An event whose identifiers are only a subset of one of these is too broad (Meta, since v13).
_TOO_BROAD = tuple(
    ~mask_of(*names)
    for names in (
        ("ct", "country", "st", "zp", "ge", "client_user_agent"),
        ("db", "client_user_agent"),
        ("fn", "ge"),
        ("ln", "ge"),
    )
)


def check(user_data: Any) -> int:
    """The mask of the identifiers present.

    Raises Refusal for a malformed value or too few of them.
    """
    if not isinstance(user_data, dict):
        raise EventRefusal("user_data", "is required and must be an object")
    mask = 0
    for name, value in user_data.items():
        rule = _RULES.get(name)
        if rule is not None and not _is_blank(value) and rule(name, value):
            mask |= BITS[name]
    for outside in _TOO_BROAD:
        if not mask & outside:
            raise EventRefusal(
                "user_data",
                "not enough customer information to match a person; add em, ph, external_id, fbc, "
                "fbp or an IP address",
                subcode=TOO_LITTLE_CUSTOMER_DATA,
            )
    return mask


def _is_blank(value: Any) -> bool:
    return value is None or value in ("", [])


def _hashed(name: str, value: Any) -> bool:
    found = False
    for item in value if type(value) is list else (value,):
        if type(item) is not str or not _HASH(item):
            raise EventRefusal(
                f"user_data.{name}",
                "must be the SHA-256 of the normalised value, 64 lower-case hexadecimal digits; "
                "clear values are not accepted",
            )
        found = found or item != EMPTY_HASH
    return found


def _text(name: str, value: Any) -> bool:
    if type(value) is not str or not value.strip():
        raise EventRefusal(f"user_data.{name}", "must be a string")
    return True


def _texts(name: str, value: Any) -> bool:
    for item in value if type(value) is list else (value,):
        _text(name, item)
    return True


def _identifier(name: str, value: Any) -> bool:
    if type(value) is int:
        return True
    return _text(name, value)


def _lead_id(name: str, value: Any) -> bool:
    if type(value) not in (int, str) or not _LEAD_ID(str(value)):
        raise EventRefusal(
            f"user_data.{name}", "must be a number of 15 or 16 digits", subcode=BAD_LEAD_ID
        )
    return True


def _ip(name: str, value: Any) -> bool:
    if type(value) is not str or not _is_ip(value):
        raise EventRefusal(
            f"user_data.{name}", "must be an IPv4 or IPv6 address in clear, without spaces"
        )
    return True


def _fbc(name: str, value: Any) -> bool:
    if not _is_browser_id(value):
        raise EventRefusal(
            f"user_data.{name}",
            "must be fb.<subdomain index>.<milliseconds>.<fbclid>, unmodified",
            subcode=BAD_FBC,
        )
    return True


def _fbp(name: str, value: Any) -> bool:
    if not _is_browser_id(value):
        raise EventRefusal(
            f"user_data.{name}", "must be fb.<subdomain index>.<milliseconds>.<random number>"
        )
    return True


def _is_browser_id(value: Any) -> bool:
    """Shape of fbc and fbp: four segments, or five with the Parameter Builder's appendix."""
    if type(value) is not str:
        return False
    parts = value.split(".")
    return (
        4 <= len(parts) <= 5
        and parts[0] == "fb"
        and parts[1] in ("0", "1", "2")
        and _CLICK_TIME(parts[2]) is not None
        and all(parts[3:])
        and not any(c.isspace() for c in value)
    )


@lru_cache(maxsize=65_536)
def _is_ip(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


_RULES: dict[str, Callable[[str, Any], bool]] = {
    **dict.fromkeys(HASHED, _hashed),
    **dict.fromkeys(PLAIN, _identifier),
    "external_id": _texts,
    "client_ip_address": _ip,
    "client_user_agent": _text,
    "fbc": _fbc,
    "fbp": _fbp,
    "lead_id": _lead_id,
}
