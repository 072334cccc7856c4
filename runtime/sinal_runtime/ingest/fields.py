"""Typed, bounded reading of one JSON object, noting what is wrong under the path of each field.

Nothing is read twice and nothing raises: a sender gets every error of a request at once. An empty string counts as
absent, because that is what page scripts send for what they do not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from re import Pattern
from typing import Annotated, TypeVar

import msgspec

from sinal_runtime import placeholders
from sinal_runtime.ingest.problem import FieldError

MAX_AMOUNT = Decimal("999999999999")
MAX_DECIMALS = 6

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

T = TypeVar("T")
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Told(msgspec.Struct):
    """A moment in a type that is understood once; an annotated one would be at every call."""

    at: _Instant


class Fields:
    """One JSON object of a request."""

    __slots__ = ("_errors", "_object", "_path")

    def __init__(self, source: Mapping[str, object], *, path: str, errors: list[FieldError]) -> None:
        self._object = source
        self._path = path  # with its closing dot, or empty
        self._errors = errors

    def __contains__(self, name: str) -> bool:
        return name in self._object

    def fail(self, name: str, message: str) -> None:
        """Note an error of one field."""
        self._errors.append(FieldError(self._path + name, message))

    def unknown(self, known: frozenset[str]) -> int:
        """How many fields nobody reads."""
        return len(self._object.keys() - known)

    def text(self, name: str, limit: int, *, numbers: bool = False) -> str | None:
        """A string of at most `limit` characters, trimmed, without control characters; `numbers`: or an integer."""
        value = self._raw(name, limit, numbers=numbers)
        if value is None or value.isprintable():  # nearly always
            return value
        return _CONTROL.sub("", value) or None

    def identifier(
        self, name: str, limit: int, *, numbers: bool = False, nothing: Callable[[str], bool] = placeholders.is_no_id
    ) -> str | None:
        """The same, and a control character is an error: without it the id might be another's.

        What `nothing` says is a placeholder is None: whoever has no id has the same one.
        """
        value = self._raw(name, limit, numbers=numbers)
        if value is not None and not value.isprintable() and _CONTROL.search(value):
            self.fail(name, "contains a control character")
            return None
        return None if value is None or nothing(value) else value

    def _raw(self, name: str, limit: int, *, numbers: bool) -> str | None:
        value = self._object.get(name)
        if value is None:
            return None
        if numbers and type(value) is int:
            value = str(value)
        if type(value) is not str:
            self.fail(name, "must be a string")
            return None
        value = value.strip()
        if len(value) > limit:
            self.fail(name, f"is longer than {limit} characters")
        elif "\0" in value:
            self.fail(name, "contains a NUL character")
        else:
            return value or None
        return None

    def word(self, name: str, limit: int, pattern: Pattern[str], meaning: str) -> str | None:
        """A string that matches `pattern` whole; `meaning` says in words what it must be. A placeholder is nothing."""
        value = placeholders.id_or_none(self.text(name, limit))
        if value is not None and not pattern.fullmatch(value):
            self.fail(name, f"must be {meaning}")
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self._object.get(name)
        if value is None or type(value) is bool:
            return value
        self.fail(name, "must be true, false or null")
        return None

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        """An integer within bounds."""
        value = self._object.get(name)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            self.fail(name, f"must be an integer from {low} to {high}")
            return default
        return value

    def amount(self, name: str) -> str | None:
        """Money in major units, given as a number or a decimal string; returned as a plain decimal string."""
        value = self._object.get(name)
        if value is None or value == "":
            return None
        number = _decimal(value)
        if number is None:
            self.fail(name, f'must be an amount such as "97.00": not negative, at most {MAX_DECIMALS} decimals')
            return None
        return format(number, "f")

    def instant(self, name: str) -> int | None:
        """A point in time (RFC 3339 with an offset) in Unix ms."""
        value = self._object.get(name)
        if value is None or value == "":
            return None
        if (at := instant_ms(value)) is None:
            self.fail(name, "must be a time in RFC 3339 with an offset, such as 2025-05-02T13:04:05Z")
        return at

    def section(self, name: str) -> Fields | None:
        """A nested object."""
        value = self._object.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fail(name, "must be an object")
            return None
        return Fields(value, path=f"{self._path}{name}.", errors=self._errors)

    def sections(self, name: str, limit: int, read: Callable[[Fields], T]) -> list[T]:
        """A list of at most `limit` objects, each read by `read`."""
        value = self._object.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fail(name, "must be a list of objects")
            return []
        if len(value) > limit:
            self.fail(name, f"has more than {limit} entries")
            return []
        found: list[T] = []
        for at, item in enumerate(value):
            if isinstance(item, dict):
                found.append(read(Fields(item, path=f"{self._path}{name}[{at}].", errors=self._errors)))
            else:
                self.fail(f"{name}[{at}]", "must be an object")
        return found


def instant_ms(value: object) -> int | None:
    """RFC 3339 with an offset as Unix ms; None for anything else."""
    try:
        return round(msgspec.convert({"at": value}, _Told).at.timestamp() * 1000)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None


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
    return number if isinstance(exponent, int) and exponent >= -MAX_DECIMALS else None
