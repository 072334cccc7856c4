"""One value of one field: normalised as Meta asks, hashed with SHA-256.

Blank input, and input of which nothing remains, is None and never the hash of an empty string. A
value that is a SHA-256 already goes through as it is, in lower case. An MD5 does not: Meta takes
SHA-256 only, and hashing it again would match nobody. Nor does a masked value (`mar***@gmail.com`):
it isn't the person's. Nor does one with a character that was lost on the way (`Jo?o`, or U+FFFD):
its hash is nobody's. Nor does a placeholder, in clear or hashed (`placeholders`): it is
everybody's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from sinal_hub.identity import emails, people, phones, places
from sinal_hub.identity.text import tidy
from sinal_hub.model import placeholders

MAX_LENGTH = 1_000  # characters; no field of a person is longer
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_MASK = re.compile(r"[*•●]{2}")

LOST = "\ufffd"  # what stands for bytes that are of no encoding
_WORDS = frozenset({"fn", "ln", "ct"})  # no name of anybody or any place has a question mark

Rule = Callable[[str, str], str | None]

_RULES: dict[str, Rule] = {
    "em": lambda text, _: emails.email(text),
    "ph": phones.phone,
    "fn": lambda text, _: people.name(text),
    "ln": lambda text, _: people.name(text),
    "ct": places.city,
    "st": places.state,
    "zp": places.postal_code,
    "country": lambda text, _: places.country(text),
    "ge": lambda text, _: people.gender(text),
    "db": people.birth_date,
    "external_id": lambda text, _: people.external_id(text),
}
_LONG = {
    "email": "em",
    "phone": "ph",
    "first_name": "fn",
    "last_name": "ln",
    "city": "ct",
    "state": "st",
    "zip": "zp",
    "gender": "ge",
    "birth_date": "db",
}
FIELDS: tuple[str, ...] = tuple(_RULES)


class UnknownField(KeyError):
    """No field of Meta's customer data has that name."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field

    def __str__(self) -> str:
        return f"unknown field {self.field!r}; one of {', '.join((*FIELDS, *_LONG))}"


def normalise(field: str, value: str, *, country: str = "BR") -> str | None:
    """The value as Meta wants it before hashing, or None.

    `country` is the default of numbers and places without one.

    Raises UnknownField.
    """
    key = _LONG.get(field, field)
    rule = _RULES.get(key)
    if rule is None:
        raise UnknownField(field)
    if len(value) > MAX_LENGTH:
        return None
    text = tidy(value)
    if _is_sha256(text):
        return None if placeholders.is_no_digest(text.lower()) else text.lower()
    if LOST in text or ("?" in text and key in _WORDS):
        return None
    # an external id may well be a UUID
    if not text or (key != "external_id" and _is_not_the_value(text)):
        return None
    return rule(text, country.upper())


def digest(normalised: str) -> str:
    """SHA-256 of the UTF-8 text, in lower-case hex."""
    return hashlib.sha256(normalised.encode()).hexdigest()


def hashed(field: str, value: str, *, country: str = "BR") -> str | None:
    """What goes to Meta: the normalised value's digest, a value hashed before as is, or None.

    Raises UnknownField.
    """
    normalised = normalise(field, value, country=country)
    if normalised is None:
        return None
    return normalised if _is_sha256(normalised) else digest(normalised)


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and _SHA256.fullmatch(text) is not None


def _is_not_the_value(text: str) -> bool:
    """Whether a text is an MD5 or masked."""
    if len(text) == 32 and _MD5.fullmatch(text):
        return True
    return ("*" in text or not text.isascii()) and _MASK.search(text) is not None
