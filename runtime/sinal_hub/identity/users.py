"""A person's clear data, for as long as one call takes, and Meta's hashed customer data made
of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sinal_hub.identity.fields import hashed, normalise
from sinal_hub.identity.people import split_name
from sinal_hub.identity.text import tidy
from sinal_hub.model import placeholders
from sinal_hub.model.events import UserData


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearUser:
    """Clear personal data as a form or webhook gave it; its `repr` shows none of it."""

    email: str | None = field(default=None, repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    # used for what first and last name leave open
    full_name: str | None = field(default=None, repr=False)
    city: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    zip: str | None = field(default=None, repr=False)
    country: str | None = field(default=None, repr=False)


def hash_user(clear: ClearUser, *, country: str = "BR") -> UserData:
    """Hashed customer data.

    The buyer's own country, where known, decides over `country`, the tenant's.
    """
    region = _region(clear, country)
    lists: dict[str, list[str]] = {}
    for key, value in _values(clear):
        found = hashed(key, value, country=region)
        # one person's numbers may come to one: Meta is told each hash once
        if found is not None and found not in lists.setdefault(key, []):
            lists[key].append(found)
    return UserData(**lists)


def normalise_user(clear: ClearUser, *, country: str = "BR") -> dict[str, str]:
    """Normalised clear values by Meta's key, for a person at a terminal only.

    Several phones are joined by a comma.
    """
    region = _region(clear, country)
    found: dict[str, list[str]] = {}
    for key, value in _values(clear):
        normalised = normalise(key, value, country=region)
        if normalised is not None and normalised not in found.setdefault(key, []):
            found[key].append(normalised)
    return {key: ",".join(values) for key, values in found.items() if values}


def _region(clear: ClearUser, country: str) -> str:
    own = normalise("country", clear.country) if clear.country else None
    return own.upper() if own and len(own) == 2 else country


def _values(clear: ClearUser) -> list[tuple[str, str]]:
    first_name, last_name = _names(clear)
    pairs = [
        ("em", clear.email),
        *(("ph", phone) for phone in clear.phones),
        ("fn", first_name),
        ("ln", last_name),
        ("ct", clear.city),
        ("st", clear.state),
        ("zp", clear.zip),
        ("country", clear.country),
    ]
    return [(key, value) for key, value in pairs if value]


def _names(clear: ClearUser) -> tuple[str | None, str | None]:
    """First and last name.

    A placeholder in two words (`Não Informado`) is one whether it came whole or in two.
    """
    first, last = (
        None if name and placeholders.is_nobody(name) else name
        for name in (clear.first_name, clear.last_name)
    )
    if clear.full_name and not placeholders.is_nobody(full := tidy(clear.full_name)):
        own_first, own_last = split_name(placeholders.without_program_words(full))
        first, last = first or own_first, last or own_last
    if first and last and placeholders.is_nobody(f"{first} {last}"):
        return None, None
    return first, last
