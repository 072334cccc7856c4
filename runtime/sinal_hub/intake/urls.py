"""URLs as they may be stored: without the personal data that forms and mailings put into query
strings.

The parameters whose name or value tells of a person (`personal`) are dropped; campaign parameters
and click ids stay exactly as they were written.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sinal_core.telemetry import personal
from sinal_hub import identity

# what a web page's source leaves before a name
_AMP = re.compile(r"^(?:amp(?:;|%3b))+", re.IGNORECASE)


class Landing(NamedTuple):
    """A page's URL as it may be stored, and what its query says of the ad that led there."""

    url: str
    fbclid: str | None
    utm: dict[str, str]  # by the fields of `Utm`, also those that tell of a person


def read(url: str) -> Landing:
    """Take a URL apart: fbclid and campaign as `identity` finds them, the rest as `scrub` leaves
    it.

    A link as it should be is gone through once; one that somebody broke is read by the rules of
    `identity.links`.
    """
    if "?" not in url and "#" not in url and "&" not in url:  # as most referrers are
        return Landing(_without_user(url), None, {})
    head, _, fragment = url.partition("#")
    base, mark, query = head.partition("?")
    is_broken = (
        "=" in fragment
        or "%3" in fragment
        or not identity.is_whole(query)
        or (not mark and "&" in base)
    )
    if is_broken:
        fbclid, utm = identity.ad_of(url)
        kept = (
            [piece for part in query.split("&") if (piece := _without_person(part))] if mark else []
        )
    else:
        kept, fbclid, utm = _whole(query)
    base = _without_user(base)
    return Landing((f"{base}?{'&'.join(kept)}" if kept else base) + _route(fragment), fbclid, utm)


def _whole(query: str) -> tuple[list[str], str | None, dict[str, str]]:
    """The pairs that may be stored of a query that nobody broke, its fbclid and campaign."""
    kept: list[str] = []
    fbclid: str | None = None
    utm: dict[str, str] = {}
    known = identity.UTM_FIELDS
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name == "fbclid":
            fbclid = identity.fbclid_of_value(value) or fbclid
        elif (field := known.get(name) or known.get(name.lower())) is None:
            if part and not personal.is_personal_pair(part):
                kept.append(part)
            continue
        elif field not in utm and (text := identity.utm_of_value(value)):
            utm[field] = text
        # A name of the ad's own is not personal, so that the value alone decides.
        encoded = "%" in value or "+" in value
        if not (personal.is_personal_pair(part) if encoded else personal.tells(value)):
            kept.append(part)
    return kept, fbclid, utm


def _without_person(part: str) -> str:
    """A pair of a broken query, as more than one pair may stand in it, and less than its name
    before it.
    """
    pieces = part.split("?")
    kept = [piece for piece in pieces if not personal.is_personal_pair(_AMP.sub("", piece))]
    return "?".join(kept)


def scrub(url: str) -> str:
    """The URL without user information, plain anchor and personal query parameters."""
    return read(url).url


def _route(fragment: str) -> str:
    """What an application in one page calls its pages (`#/route`, `#!route`).

    A plain anchor is the same page.
    """
    if not fragment.startswith(("/", "!")):
        return ""
    path, _, query = fragment.partition("?")
    kept = [part for part in query.split("&") if part and not personal.is_personal_pair(part)]
    path = personal.without_person(path)
    return f"#{path}?{'&'.join(kept)}" if kept else f"#{path}"


def _without_user(base: str) -> str:
    scheme, mark, rest = base.partition("://")
    if not mark:
        return base
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{personal.without_person(path)}"
