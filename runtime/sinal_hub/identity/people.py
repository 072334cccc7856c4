"""What describes a person: names, gender, birth date, the tenant's own id.

Meta's page asks for names in lower case without punctuation and, unlike for cities, says nothing of
spaces: `Ana Maria` stays two words (as Meta's Python SDK has it), `Maria-José` and `O'Brien` become
one. Accents stay, composed (NFC).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from sinal_hub.identity.text import fold, plain, words
from sinal_hub.model import placeholders

_FEMALE = (
    "f fem feminino feminina femenino femenina female woman girl mulher mujer moca menina "
    "senhora sra mrs ms"
)
_MALE = "m masc masculino masculina male man boy homem hombre moco menino senhor sr mr"
_GENDERS = {word: "f" for word in _FEMALE.split()} | {word: "m" for word in _MALE.split()}

_TIME = r"(?:[t ][\d:.,+z -]*)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/. ])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/. ])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_EIGHT_DIGITS = re.compile(r"\d{8}")
_FIRST_YEAR = 1900  # Meta takes 1900 to the current year
_MONTH_FIRST = {"US"}


def name(text: str) -> str | None:
    """Meta's `fn` and `ln`: lower case, no punctuation, one space between words.

    None without a letter.
    """
    if placeholders.is_nobody(text):
        return None
    found = placeholders.without_program_words(words(text, numbers=True))
    if not found or (found != text.lower() and placeholders.is_nobody(found)):
        return None
    return found


def split_name(full_name: str) -> tuple[str | None, str | None]:
    """First word and the rest, particles included: `Maria da Silva` is `Maria` and `da Silva`."""
    first, _, rest = full_name.strip().partition(" ")
    return first or None, rest.strip() or None


def gender(text: str) -> str | None:
    """`f` or `m` of a letter or word in Portuguese, English or Spanish; None for anything else."""
    return _GENDERS.get(fold(text))


def birth_date(text: str, country: str) -> str | None:
    """`YYYYMMDD` from 1900 to today.

    Day first, but month first for the US and where only that reading is a date.
    """
    text = plain(text)
    if found := _YEAR_FIRST.fullmatch(text):
        return _date(found[1], found[3], found[4])
    if found := _YEAR_LAST.fullmatch(text):
        return _year_last(found[1], found[3], found[4], country)
    if _EIGHT_DIGITS.fullmatch(text):
        return _date(text[:4], text[4:6], text[6:]) or _year_last(
            text[:2], text[2:4], text[4:], country
        )
    return None


def _year_last(first: str, second: str, year: str, country: str) -> str | None:
    day_first, month_first = _date(year, second, first), _date(year, first, second)
    return (month_first or day_first) if country in _MONTH_FIRST else (day_first or month_first)


def _date(year: str, month: str, day: str) -> str | None:
    try:
        read = date(int(year), int(month), int(day))
    except ValueError:
        return None
    if read.year < _FIRST_YEAR or read > datetime.now(UTC).date():
        return None
    return read.strftime("%Y%m%d")


def external_id(text: str) -> str | None:
    """The tenant's own id in lower case, as Meta's libraries hash it on the other channels.

    None for a placeholder.
    """
    return None if placeholders.is_no_id(text) else text.lower() or None
