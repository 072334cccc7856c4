"""Rows as columns: arrays in PostgreSQL's own notation, so that a statement takes any number of
rows in few parameters.

An array of text is read in one pass, and what stands in it is not looked into. JSON is read several
times over, and a document inside a document as often again: recording 200 events so cost 8 of 13 ms
(`auto_explain` on a real batch). JSON documents come joined by a character that JSON never holds:
quoting them costs more than writing them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_origin

import msgspec

_encode = msgspec.json.Encoder().encode
_SEPARATOR = b"\x1e"  # JSON escapes control characters; statements cut at it
ITEM = "item"  # the column of rows that are one value each

Column = Callable[[Sequence[Any]], str]


def columns(rows: Sequence[object]) -> dict[str, str]:
    """The columns of like rows by name, each an array of as many values.

    Rows are structs, texts or numbers.
    """
    kind = type(rows[0])
    if not issubclass(kind, msgspec.Struct):
        return {ITEM: array(rows)}
    return {name: column(rows) for name, column in _columns(kind)}


def array(values: Iterable[object]) -> str:
    """Texts, numbers, truths, times or None as PostgreSQL reads an array of them."""
    listed = list(values)
    text = _encode(listed)
    # JSON's notation is PostgreSQL's but for the brackets and for escapes of control characters.
    if b"\\" in text and b"\\" in text.replace(b"\\\\", b"").replace(b'\\"', b""):
        return "{" + ",".join(map(_quoted, listed)) + "}"
    return "{" + text[1:-1].decode() + "}"


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encode(value).decode()


@lru_cache
def _columns(kind: type[msgspec.Struct]) -> list[tuple[str, Column]]:
    """Each field's name, and what makes its column of rows."""
    return [(field.name, _column(field.name, field.type)) for field in msgspec.structs.fields(kind)]


def _column(name: str, kind: Any) -> Column:
    get = attrgetter(name)
    if kind is msgspec.Raw:
        return lambda rows: _SEPARATOR.join(map(get, rows)).decode()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return lambda rows: _SEPARATOR.join(_encode(get(row)) for row in rows).decode()
    # PostgreSQL's arrays of arrays are rectangles, and rows have lists of any length: each travels
    # as a text, which the statement casts
    if get_origin(kind) is list:
        return lambda rows: array(array(some) if (some := get(row)) else "{}" for row in rows)
    return lambda rows: array(map(get, rows))
