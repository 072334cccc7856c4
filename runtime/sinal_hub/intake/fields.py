"""Typed, bounded reading of one JSON object, noting what is wrong under the path of each field.

Nothing is read twice and nothing raises: a sender gets every error of a request at once. An empty
string counts as absent, because that is what page scripts send for what they do not have. Data
layers and attributes give text for numbers and numbers for text: what means the same is read. What
cannot be used costs the field and not the event: it is a warning, where its reader was given a list
for those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from re import Pattern
from typing import Annotated, TypeVar

import msgspec

from sinal_core.http.problem import FieldError
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._money import currency, price
from sinal_hub.model import placeholders

MAX_AMOUNT = Decimal("999999999999")
MAX_DECIMALS = 6
_FINEST = Decimal(1).scaleb(-MAX_DECIMALS)
_HUGE = 10**32
_FIRST_S = 10**9  # Unix seconds, from 2001 to 2286; milliseconds have three digits more
_WHOLE = re.compile(r"[+-]?\d{1,30}(?:[.]0{1,6})?", re.ASCII)
_YES = frozenset({"true", "1", "yes", "y", "on", "granted", "sim", "s", "accepted"})
_NO = frozenset(
    {"false", "0", "no", "n", "off", "denied", "n\u00e3o", "nao", "rejected", "refused", "declined"}
)
_CURRENCIES = {
    "real": "BRL",
    "reais": "BRL",
    "brl$": "BRL",
    "r$": "BRL",
    "euro": "EUR",
    "euros": "EUR",
}
_NO_AMOUNT = frozenset({"undefined", "null", "none", "nan", "n/a", "-", "false", "[object object]"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

T = TypeVar("T")
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Told(msgspec.Struct):
    """A moment in a type that is understood once; an annotated one would be at every call."""

    at: _Instant


class Fields:
    """One JSON object of a request."""

    __slots__ = ("_errors", "_object", "_path", "_warnings")

    def __init__(
        self,
        source: Mapping[str, object],
        *,
        path: str,
        errors: list[FieldError],
        warnings: list[FieldError] | None = None,
    ) -> None:
        """`errors` refuse the event, `warnings` cost it a field.

        Without a list for them all are errors.
        """
        self._object = source
        self._path = path  # with its closing dot, or empty
        self._errors = errors
        self._warnings = errors if warnings is None else warnings

    def __contains__(self, name: str) -> bool:
        return name in self._object

    def __iter__(self) -> Iterator[str]:
        return iter(self._object)

    def fail(self, name: str, message: str) -> None:
        """Note what is wrong with one field, and how to mend it.

        The event goes on without the field.
        """
        self._warnings.append(FieldError(self._path + name, message))

    def refuse(self, name: str, message: str) -> None:
        """Note an error of one field that the event cannot do without."""
        self._errors.append(FieldError(self._path + name, message))

    def unknown(self, known: frozenset[str]) -> int:
        """How many fields nobody reads."""
        return len(self._object.keys() - known)

    def text(self, name: str, limit: int, *, numbers: bool = False) -> str | None:
        """A string of at most `limit` characters, trimmed, without control characters.

        `numbers`: or an integer.
        """
        value = self._object.get(name)
        if value is None:
            return None
        if type(value) is str and len(value) <= limit and value.isprintable():  # nearly always
            return value.strip() or None
        value = self._raw(name, limit, numbers=numbers)
        return value if value is None or value.isprintable() else _CONTROL.sub("", value) or None

    def identifier(
        self,
        name: str,
        limit: int,
        *,
        numbers: bool = False,
        nothing: Callable[[str], bool] = placeholders.is_no_id,
    ) -> str | None:
        """The same, and a control character is an error: without it the id might be another's.

        What `nothing` says is a placeholder is None: whoever has no id has the same one.
        """
        value = self._raw(name, limit, numbers=numbers)
        if value is not None and not value.isprintable() and _CONTROL.search(value):
            self.refuse(name, "contains a control character")
            return None
        return None if value is None or nothing(value) else value

    def _raw(self, name: str, limit: int, *, numbers: bool) -> str | None:
        value = self._object.get(name)
        if value is None:
            return None
        if numbers and type(value) is not str and (number := _integer(value)) is not None:
            value = str(number)
        if type(value) is not str:
            self.fail(name, "must be a string")
            return None
        value = value.strip()
        if len(value) > limit:
            self.fail(name, f"is longer than {limit} characters")
        elif "\0" in value:
            self.refuse(name, "contains a NUL character")
        else:
            return value or None
        return None

    def word(self, name: str, limit: int, pattern: Pattern[str], meaning: str) -> str | None:
        """A string that matches `pattern` whole; `meaning` says in words what it must be.

        A placeholder is nothing.
        """
        value = self.text(name, limit)
        if value is None or placeholders.is_no_id(value):
            return None
        if not pattern.fullmatch(value):
            self.fail(name, f"must be {meaning}")
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """A yes or no; one that cannot be read is a no, because a person's no must not be lost."""
        value = self._object.get(name)
        if value is None or type(value) is bool:
            return value
        told = str(value).strip().lower() if type(value) in (str, int) else ""
        if type(value) is str and (not told or placeholders.is_no_campaign(told)) and told != "0":
            return None
        if told not in _YES and told not in _NO:
            self.fail(name, "must be true, false or null; it counts as false")
        return told in _YES

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        """An integer within bounds."""
        value = self._object.get(name)
        if value is None or (type(value) is int and low <= value <= high):
            return default if value is None else value
        if type(value) is str and (not value.strip() or placeholders.is_no_campaign(value)):
            return default
        number = _integer(value)
        if number is None or not low <= number <= high:
            self.fail(name, f"must be an integer from {low} to {high}; it counts as {default}")
            return default
        return number

    def amount(self, name: str) -> tuple[str | None, str | None]:
        """Money in major units as a plain decimal string, and the currency that stands in it, if
        one does.

        It may be a number, a decimal string, or written for people: `R$ 1.297,00`, `1,297.00`,
        `97,90`, `US$ 10`.
        """
        value = self._object.get(name)
        if value is None or value == "":
            return None, None
        if type(value) is Decimal and value and not -32 <= value.adjusted() <= 32:
            # nobody's price, and dear to work with
            self.refuse(name, "is a number that no amount is")
            return None, None
        number = _decimal(value)
        if number is not None:
            return format(number, "f"), None
        if type(value) is str and (not value.strip() or value.strip().lower() in _NO_AMOUNT):
            return None, None
        written, code = (
            price(Node({"it": value[:64]}), "it", default=None)
            if type(value) is str
            else (None, None)
        )
        if written is None or Decimal(written) > MAX_AMOUNT:
            self.fail(
                name,
                'must be an amount in major units that is not negative, such as 97.00 or "97.00"',
            )
            return None, None
        return written, code

    def currency(self, name: str) -> str | None:
        """An ISO 4217 code in capital letters, of a code in any case or a sign that one currency
        alone has.
        """
        text = self._raw(name, 32, numbers=False)
        if text is None:
            return None
        code = _CURRENCIES.get(text.lower()) or currency(text)
        if code is None and not placeholders.is_no_key(text):
            self.fail(name, "must be an ISO 4217 code such as BRL")
        return code

    def instant(self, name: str, *, or_refuse: bool = False) -> int | None:
        """A point in time (RFC 3339 with an offset, Unix seconds or milliseconds) in Unix ms.

        `or_refuse`: one that cannot be read refuses the event.
        """
        value = self._object.get(name)
        if value is None or value == "":
            return None
        if (at := instant_ms(value)) is None and not (
            type(value) is str and placeholders.is_no_key(value)
        ):
            say = self.refuse if or_refuse else self.fail
            say(
                name,
                "must be a time in RFC 3339 with an offset, such as 2025-05-02T13:04:05Z, or "
                "Unix seconds",
            )
        return at

    def section(self, name: str) -> Fields | None:
        """A nested object."""
        value = self._object.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fail(name, "must be an object")
            return None
        return Fields(
            value, path=f"{self._path}{name}.", errors=self._errors, warnings=self._warnings
        )

    def sections(self, name: str, limit: int, read: Callable[[Fields], T | None]) -> list[T]:
        """A list of objects, at most `limit` of them, each read by `read`.

        What it cannot use is left out.
        """
        value = self._object.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fail(name, "must be a list of objects")
            return []
        if len(value) > limit:
            self.fail(name, f"has more than {limit} entries: those after them are left out")
        found: list[T] = []
        for at, item in enumerate(value[:limit]):
            if isinstance(item, dict):
                path = f"{self._path}{name}[{at}]."
                one = read(Fields(item, path=path, errors=self._errors, warnings=self._warnings))
                if one is not None:
                    found.append(one)
            else:
                self.fail(f"{name}[{at}]", "must be an object")
        return found


def instant_ms(value: object) -> int | None:
    """RFC 3339 with an offset, or Unix seconds or milliseconds, as Unix ms.

    None for anything else.
    """
    if not (type(value) is str and "-" in value) and (number := _integer(value)) is not None:
        if _FIRST_S <= number < _FIRST_S * 10:
            return number * 1000
        return number if _FIRST_S * 1000 <= number < _FIRST_S * 10_000 else None
    try:
        return round(msgspec.convert({"at": value}, _Told).at.timestamp() * 1000)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None


def _integer(value: object) -> int | None:
    """A whole number, however it is written: 2, 2.0, "2"."""
    if type(value) is int:
        return value if abs(value) < _HUGE else None
    if type(value) is str:
        text = value.strip()
        value = Decimal(text) if len(text) <= 32 and _WHOLE.fullmatch(text) else None
    if (
        type(value) is not Decimal
        or not value.is_finite()
        or value.adjusted() >= 32
        or value != int(value)
    ):
        return None
    return int(value)


def _decimal(value: object) -> Decimal | None:
    if type(value) is str and len(value) > 32:
        return None
    if type(value) not in (str, int, Decimal):
        return None
    try:
        number = Decimal(value)  # type: ignore[arg-type]  # one of the three types above
    except InvalidOperation:
        return None
    if not number.is_finite() or not 0 <= number <= MAX_AMOUNT:
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -MAX_DECIMALS:
        return number
    # the noise of sums in binary
    return number.quantize(_FINEST, rounding=ROUND_HALF_UP).normalize()
