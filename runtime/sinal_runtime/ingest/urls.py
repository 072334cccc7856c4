"""URLs as they may be stored: without the personal data that forms and mailings put into query strings.

Landing and checkout pages are often opened with `?email=…&phone=…`. The parameters whose name or value tells of a
person are dropped; campaign parameters and click ids stay exactly as they were written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus

from sinal_runtime import identity

# Names of parameters that carry personal data on Brazilian landing pages, checkouts and mailings.
_PERSONAL = re.compile(
    r"(?:.*[_\-.\[])?(?:e-?mail|mail|phone|telefone|celular|cel|tel|fone|whats(?:app)?|mobile|"
    r"cpf|cnpj|rg|document[o]?|doc|nome|name|sobrenome|(?:first|last|full)[_\-]?name|zip|cep|address|endereco|"
    r"birth(?:day|date)?|nascimento|password|senha|token|access_token)(?:[_\-]?(?:number|completo|\d))?\]?",
    re.IGNORECASE,
)
_CAMPAIGN = re.compile(r"utm_\w+|[a-z_]*clid|campaign\w*|ad\w*", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@/]@[^\s@/]+\.\w{2,}")
_NUMBER = re.compile(
    r"\d{3}\.\d{3}\.\d{3}-\d{2}"  # CPF as printed
    r"|\+?55\s?\(?\d{2}\)?\s?9?\d{4}[-\s]?\d{4}$"  # Brazilian phone with country code
    r"|\(\d{2}\)\s?9?\d{4}-?\d{4}"  # the same without
)
_MAY_BE_NUMBER = re.compile(r"\d{4}[-\s]?\d{4}|\d{3}\.\d{3}")  # what every one of them has, cheaper to look for
REMEMBERED_LENGTH = 64  # characters of a parameter's name


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
        if not is_personal(*_decoded(part, name, value)):
            kept.append(part)
    base = _without_user(base)
    return Landing(f"{base}?{'&'.join(kept)}" if any(kept) else base, fbclid, utm)


def scrub(url: str) -> str:
    """The URL without user information, fragment and personal query parameters."""
    return read(url).url


def is_personal(name: str, value: str) -> bool:
    """Whether a query parameter tells of a person, by its name or its value."""
    return _tells(value) or (_remembered(name) if len(name) <= REMEMBERED_LENGTH else _is_personal_name(name))


def _tells(value: str) -> bool:
    if "@" in value and _EMAIL.search(value):
        return True
    return _MAY_BE_NUMBER.search(value) is not None and _NUMBER.search(value) is not None


def _is_personal_name(name: str) -> bool:
    return not _CAMPAIGN.fullmatch(name) and _PERSONAL.fullmatch(name) is not None


_remembered = lru_cache(maxsize=4_096)(_is_personal_name)  # pages have few parameters, and the same ones


def _decoded(part: str, name: str, value: str) -> tuple[str, str]:
    if "%" not in part and "+" not in part:
        return name, value
    # Twice: redirectors encode a whole query string into one parameter.
    return unquote_plus(name).strip(), unquote_plus(unquote_plus(value))


def _without_user(base: str) -> str:
    scheme, mark, rest = base.partition("://")
    if not mark:
        return base
    authority, slash, path = rest.partition("/")
    if "%" in path or "@" in path or _MAY_BE_NUMBER.search(path):
        path = "/".join(segment for segment in path.split("/") if not _tells(unquote_plus(segment)))
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
