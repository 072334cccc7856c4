"""City, state, postal code and country as Meta's page asks for them, with Brazil's own forms
understood.

One place gives one hash whichever way it is written: a CEP with and without its dash, a state by
name or by code.
"""

from __future__ import annotations

import re
import unicodedata

from sinal_hub.identity import countries
from sinal_hub.identity.states import BRAZIL, CODES
from sinal_hub.identity.text import digits, fold, is_plain, plain, words
from sinal_hub.model import placeholders

_PARTS = re.compile(r"[/,()|–—-]")
_CITY_STATE = re.compile(r"^(.*\S)\s*[/,(|–—-]\s*([A-Za-z]{2})\s*\)?$")
_CEP_DIGITS = 8
_ZIP_DIGITS = 5


def city(text: str, country: str) -> str | None:
    """Meta's `ct`: lower-case letters only, accents kept; `Campinas - SP` is Campinas in Brazil."""
    # a state behind the city is a habit of Brazil; elsewhere two letters may be part of a name
    if country == "BR" and not is_plain(text):
        found = _CITY_STATE.match(text)
        text = found[1] if found and found[2].lower() in BRAZIL else text
    joined = _joined(text)
    return None if _is_nowhere(text, joined) else joined


def state(text: str, country: str) -> str | None:
    """Meta's `st`: the two-letter code in Brazil and the US, elsewhere the name as lower-case
    letters only.
    """
    codes = CODES.get(country, {})
    joined = _joined(text)
    if (code := codes.get(fold(joined))) is not None:
        return code
    named = {codes[key] for part in _PARTS.split(text) if (key := fold(part)) in codes}
    if len(named) == 1:  # "São Paulo - SP"
        return named.pop()
    return None if _is_nowhere(text, joined) else joined


def postal_code(text: str, country: str) -> str | None:
    """Meta's `zp`: 8 digits of a CEP, the first 5 of a US zip, elsewhere letters and digits without
    space or dash.
    """
    text = plain(text)
    number = digits(text)
    if number and placeholders.is_no_code(number):
        return None
    if country == "BR" and len(number) == _CEP_DIGITS:  # also "CEP 01310-100"
        return number
    if not any(c.isalpha() for c in text):
        if country == "BR":
            return _numeric(number, _CEP_DIGITS, _CEP_DIGITS)
        if country == "US":
            return _numeric(number, _ZIP_DIGITS, 9)
    kept = "".join(c for c in text if c.isalnum())
    return kept if any(c.isdigit() for c in kept) else None


def country(text: str) -> str | None:
    """Meta's `country`: ISO 3166-1 alpha-2 in lower case, from a code or a name in Portuguese,
    English or Spanish.
    """
    return countries.alpha2(text)


def _numeric(number: str, size: int, longest: int) -> str | None:
    """`size` digits; one short, a spreadsheet has eaten the leading zero."""
    if len(number) == size - 1:
        return "0" + number
    found = number[:size]
    return found if size <= len(number) <= longest and not placeholders.is_no_code(found) else None


def _is_nowhere(text: str, joined: str) -> bool:
    """Whether a place is a placeholder, as it came or as it would be hashed, or nothing remained of
    it.
    """
    if not joined or placeholders.is_nobody(text):
        return True
    return joined != text.lower() and placeholders.is_nobody(joined)


def _joined(text: str) -> str:
    return unicodedata.normalize("NFC", words(text, numbers=False).replace(" ", ""))
