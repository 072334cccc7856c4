"""URLs as they may be stored: without the personal data that forms and mailings put into query strings.

The parameters whose name or value tells of a person (`personal`) are dropped; campaign parameters and click ids stay
exactly as they were written.
"""

from __future__ import annotations

from typing import NamedTuple

from sinal_runtime import identity, personal


class Landing(NamedTuple):
    """A page's URL as it may be stored, and what its query says of the ad that led there."""

    url: str
    fbclid: str | None
    utm: dict[str, str]  # by the fields of `Utm`, also those that tell of a person


def read(url: str) -> Landing:
    """Take a URL apart in one pass: fbclid and campaign as `identity` finds them, the rest as `scrub` leaves it."""
    base, mark, query = url.partition("#")[0].partition("?")
    fbclid: str | None = None
    utm: dict[str, str] = {}
    kept: list[str] = []
    for part in query.split("&") if mark else ():
        name, _, value = part.partition("=")
        if name == "fbclid":
            fbclid = fbclid or identity.fbclid_of_value(value)
        elif (field := identity.UTM_FIELDS.get(name)) and field not in utm and (text := identity.utm_of_value(value)):
            utm[field] = text
        if not personal.is_personal_pair(part):
            kept.append(part)
    base = _without_user(base)
    return Landing(f"{base}?{'&'.join(kept)}" if any(kept) else base, fbclid, utm)


def scrub(url: str) -> str:
    """The URL without user information, fragment and personal query parameters."""
    return read(url).url


def _without_user(base: str) -> str:
    scheme, mark, rest = base.partition("://")
    if not mark:
        return base
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{personal.without_person(path)}"
