"""Phone numbers as digits with country code, from every way Brazilians write and gateways mangle
them.

Structure is checked, not whether a line exists; but a line of one digit (`11 99999-9999`) is what
people type to get on, and no number. Numbers of Brazil (+55) follow the rules below; others go
through the tables of `phonenumbers`. Without a plus the tenant's country decides what a number
means, so a result is read back unchanged for certain only with a `+` before it.
"""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

from sinal_hub.identity.text import digits, plain
from sinal_hub.model import placeholders

_BRAZIL = "55"
# Area codes in use (Anatel, Plano Geral de Códigos Nacionais).
_AREAS = {
    "1": "123456789",
    "2": "12478",
    "3": "1234578",
    "4": "123456789",
    "5": "1345",
    "6": "123456789",
    "7": "134579",
    "8": "123456789",
    "9": "123456789",
}
_EXTENSION = re.compile(
    r"(?:;ext=|;|\bramal\b|\bext(?:ension|ensao|ensão)?\b|[#x])[\s.:=]*\d{1,6}\D*$"
)
_SEPARATORS = re.compile(r"[/,;|]|\bou\b|\be\b")
# digits of a line in Brazil, without the ninth before them; elsewhere at least 7 are looked at
_LINE = 8
# E.164 allows 15; no country's numbers are shorter than 7 with their code
_SHORTEST, _LONGEST = 7, 15


def phone(text: str, country: str) -> str | None:
    """Meta's `ph` of tidy text: digits with country code, no plus.

    None for what is not a full number.
    """
    text = plain(text)
    if "*" in text:  # a mask: half a number
        return None
    text = _EXTENSION.sub("", text)
    if (whole := _one(text, country)) is not None:
        return whole
    parts = _SEPARATORS.split(text)  # "11 99999-8888 / 11 3333-4444": the first that is a number
    return (
        next((n for part in parts if (n := _one(part, country))), None) if len(parts) > 1 else None
    )


def _one(text: str, country: str) -> str | None:
    found = _number(text, country)
    if found is None or placeholders.is_no_line(
        found, line=_LINE if found.startswith(_BRAZIL) else _SHORTEST
    ):
        return None
    return found


def _number(text: str, country: str) -> str | None:
    number = digits(text)
    if not _SHORTEST <= len(number) <= _LONGEST + 4 or placeholders.is_counted(number):
        return None
    # before the first digit only: further on a plus is not a country's
    explicit = "+" in text.partition(number[0])[0]
    if explicit and not number.startswith("0"):
        return _international(number, country)
    if number.startswith("00"):
        return _international(number.lstrip("0"), country)
    if country == "BR":
        return _brazilian(number) or (None if number.startswith("0") else _abroad(number))
    return _national(number, country)


def _international(number: str, country: str) -> str | None:
    """Digits after a plus or 00; a Brazilian who types `+11 …` means area code 11."""
    if number.startswith(_BRAZIL):
        return _after_country_code(number)
    parsed = _parse("+" + number, None)
    if parsed is not None and phonenumbers.is_valid_number(parsed):
        return _digits_of(parsed)
    if country == "BR" and (read := _subscriber(number)) is not None:
        return read
    return _possible(parsed, number, country)


def _abroad(number: str) -> str | None:
    """Digits without a plus that no rule of the tenant's country fits: only a valid foreign number
    will do.
    """
    if number.startswith(_BRAZIL):
        return _after_country_code(number)
    parsed = _parse("+" + number, None)
    return (
        _digits_of(parsed) if parsed is not None and phonenumbers.is_valid_number(parsed) else None
    )


def _national(number: str, country: str) -> str | None:
    parsed = _parse(number, country)
    if parsed is not None and phonenumbers.is_valid_number(parsed):
        found = _digits_of(parsed)
        return _after_country_code(found) if found.startswith(_BRAZIL) else found
    if not number.startswith("0") and (found_abroad := _abroad(number)) is not None:
        return found_abroad
    return _possible(parsed, number, country)


def _brazilian(number: str) -> str | None:
    """A number as dialled in Brazil, with or without trunk prefix, or with 55 before it."""
    if number.startswith(_BRAZIL) and len(number) >= 12:
        return _after_country_code(number)
    # "55 900000000": no mobile number begins with 90, so 55 is the country and the area code is
    # missing.
    if number.startswith("5590") and len(number) == 11:
        return None
    return _subscriber(_without_trunk(number))


def _after_country_code(number: str) -> str | None:
    rest = _without_trunk(number[len(_BRAZIL) :])
    # the form had put +55 before a number that had it
    if rest.startswith(_BRAZIL) and len(rest) in (12, 13):
        rest = rest[len(_BRAZIL) :]
    return _subscriber(rest)


def _without_trunk(number: str) -> str:
    """Without 0 and, where two digits too many follow, the carrier's code: 0 21 11 99999-8888."""
    if not number.startswith("0"):
        return number
    number = number[1:]
    return number[2:] if len(number) in (12, 13) else number


def _subscriber(number: str) -> str | None:
    """55, area code and subscriber of ten or eleven digits.

    Mobile numbers of before 2016 get their ninth digit.
    """
    area, line = number[:2], number[2:]
    if area[1:] not in _AREAS.get(area[:1], ""):
        return None
    if len(line) == 9 and line[0] == "9":
        return _BRAZIL + area + line
    if len(line) == 8 and line[0] in "2345":
        return _BRAZIL + area + line
    if len(line) == 8 and line[0] in "6789":
        return _BRAZIL + area + "9" + line
    return None


def _parse(number: str, country: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(number, country)
    except NumberParseException:
        return None


def _possible(parsed: PhoneNumber | None, number: str, country: str) -> str | None:
    """Digits of a number of possible length that no range contains (Meta takes it), if they read
    back as themselves.
    """
    if (
        parsed is None
        or phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE
    ):
        return None
    found = _digits_of(parsed)
    if len(found) < _SHORTEST:
        return None
    return found if found == number or _international(found, country) == found else None


def _digits_of(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]
