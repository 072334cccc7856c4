"""Bodies of deliveries, JSON or form, as one tolerant read-only tree.

Gateways add fields, drop fields, send a number as a string and an empty list for an empty object. A
`Node` answers None (or an empty node) for whatever is not there or not of the wanted shape, so that
an adapter reads in one line what it needs and no payload can make it raise. Numbers with a point
become Decimal, never float: money must not pass through binary fractions. Encodings and escapes
that senders mix up are `text`'s.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator, Mapping
from decimal import Decimal
from typing import NoReturn
from urllib.parse import unquote_to_bytes

import msgspec

from sinal_hub.gateways import NotThisGateway, text

MAX_TEXT = 2_000  # characters kept of a text; longer ones are cut
MAX_IDENT = 255  # an identifier cannot be cut, a longer one is none (Stripe documents 255)
MAX_DIGITS = 18  # before the point; no amount and no time has more
_MAX_AMOUNT = 10**MAX_DIGITS
_MAX_INTEGER = 10**40  # an identifier may be a number longer than any amount
_MAX_FORM_FIELDS = 2_000
_MAX_FORM_DEPTH = 8

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_CONTROL = {code: " " for code in (*range(32), 127)}
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,12})?", re.ASCII)
# "1.497,00", "1,497.00", "297,5": a fraction of one or two digits tells comma and dot apart;
# "1,497" may be either.
_WITH_COMMA = re.compile(
    r"[+-]?(\d{1,18}|\d{1,3}(\.\d{3}){1,5}),\d{1,2}|[+-]?\d{1,3}(,\d{3}){1,5}\.\d{1,2}", re.ASCII
)
_PART_NAME = re.compile(rb'[;\s]name="([^"\r\n]{0,200})"', re.IGNORECASE)
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_TRUE = {"true", "1", "yes", "sim", "on"}
_JSON_TEXT = ("{", "[")
_MAX_WRAPS = 3  # of a document as a text in another
_FALSE = {"false", "0", "no", "nao", "não", "off", ""}


class Node:
    """One object of a payload; every reader takes a path of names and never raises."""

    __slots__ = ("_fields",)

    def __init__(self, fields: object = None) -> None:
        self._fields: Mapping[str, object] = fields if isinstance(fields, dict) else {}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def items(self) -> ItemsView[str, object]:
        """Names and what stands there, as decoded."""
        return self._fields.items()

    def raw(self, *path: str) -> object:
        """What stands at the path, as decoded; None where nothing does."""
        value: object = self._fields
        for name in path:
            if not isinstance(value, dict):
                return None if value is None else _within_text(self._fields, path)
            value = value.get(name)
        return value

    def node(self, *path: str) -> Node:
        """The object at the path, empty where there is none."""
        return Node(_unpacked(self.raw(*path)))

    def nodes(self, *path: str) -> list[Node]:
        """The objects of a list; a form's numbered fields and a lone object count as one."""
        value = _unpacked(self.raw(*path))
        if isinstance(value, dict) and value:
            value = (
                [value[k] for k in sorted(value, key=int)]
                if all(map(_is_index, value))
                else [value]
            )
        return (
            [Node(item) for item in value if isinstance(item, dict)]
            if isinstance(value, list)
            else []
        )

    def text(self, *path: str) -> str | None:
        """Trimmed text of a string or number (of a list: its first item); None when blank."""
        return text_of(self.raw(*path))

    def ident(self, *path: str) -> str | None:
        """An identifier as text, whole or not at all."""
        found = text_of(self.raw(*path), limit=MAX_IDENT + 1)
        return found if found is not None and len(found) <= MAX_IDENT else None

    def number(self, *path: str) -> Decimal | None:
        """A number, also of a string such as "297.00" or "1.497,00"."""
        return _number(self.raw(*path))

    def integer(self, *path: str) -> int | None:
        """A whole number, also of "12" or 12.0."""
        value = self.raw(*path)
        if value is None or (type(value) is int and abs(value) < _MAX_AMOUNT):
            return value
        found = _number(value)
        return int(found) if found is not None and found == found.to_integral_value() else None

    def flag(self, *path: str) -> bool | None:
        """True or false of a boolean, 1/0 or a word; None for anything else."""
        value = self.raw(*path)
        if isinstance(value, bool):
            return value
        word = (text_of(value) or "").lower() if isinstance(value, str | int) else None
        return True if word in _TRUE else False if word in _FALSE else None


def load(raw: bytes) -> Node:
    """The tree of a JSON object or a form, also one in parts.

    Raises NotThisGateway for anything else.
    """
    body = document(raw)
    if body[:3].lower() == b"%7b":  # JSON as a form's only name
        body = document(unquote_to_bytes(body.removesuffix(b"=").replace(b"+", b" ")))
    if body.startswith(b"{"):
        found = _read(body)
        found = decode_json(text.in_utf8(body)) if found is None else found
        return Node(found)
    if body.startswith(b"--") and b"\r\n" in body:
        return Node(_grown(_parts(body)))
    if b"=" in body and not body.startswith((b"[", b"<", b'"')):
        # bytes that are not UTF-8 keep their value until each field is read in its own encoding
        return Node(_form(body.decode("utf-8", "surrogateescape")))
    _refuse("the body is neither a JSON object nor a form")


def document(raw: bytes) -> bytes:
    """A body without what was put around it: blanks, a byte order mark, UTF-16, quotes of JSON that
    was encoded twice.

    Raises NotThisGateway for quotes around what is not JSON text. What is in another encoding of
    bytes stays in it.
    """
    if b"\0" in raw[:4] or raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raw = text.in_utf8(raw)
    body = raw.removeprefix(b"\xef\xbb\xbf").strip()
    for _ in range(_MAX_WRAPS):
        if not body.startswith(b'"'):
            break
        inner = decode_json(text.in_utf8(body))
        body = inner.encode("utf-8", "surrogatepass").strip() if isinstance(inner, str) else b""
    return body


def decode_json(body: bytes) -> object:
    """Decoded JSON, fractions as Decimal.

    Raises NotThisGateway, also for nesting without end and absurd exponents.
    """
    try:
        return _decode(body)
    except (ValueError, ArithmeticError, RecursionError):
        _refuse("the body is not valid JSON")


def _read(body: bytes) -> object:
    """Decoded JSON, None where it is none in UTF-8; a backslash before every quote is undone."""
    try:
        if body[1:3] == b'\\"':  # as PHP once escaped what it was sent
            inner = _decode(b'"' + body + b'"')
            body = inner.encode() if isinstance(inner, str) else b""
        return _decode(body)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def form_fields(query: str) -> Node:
    """The flat fields of a query string.

    The first value of a name wins, an unreadable one gives an empty node.
    """
    try:
        pairs = text.fields_of(query, keep_blank=False, most=_MAX_FORM_FIELDS)
    except ValueError:
        return Node()
    return Node(dict(reversed(pairs)))


def _refuse(message: str) -> NoReturn:
    raise NotThisGateway(message) from None


def _form(body: str) -> dict[str, object]:
    try:
        pairs = text.fields_of(body, keep_blank=True, most=_MAX_FORM_FIELDS)
    except ValueError:
        _refuse("the form has too many fields")
    if len(pairs) == 1 and isinstance(whole := _unpacked(pairs[0][1]), dict):
        return whole  # the delivery is JSON, and the form only what carries it
    return _grown(pairs)


def _parts(body: bytes) -> list[tuple[str, str]]:
    """Names and values of multipart/form-data (RFC 7578), whose first line is the delimiter.

    Files are left out.

    PHP's curl sends an array so, and PHP's receivers, from which most adapters here are known, see
    no difference.
    """
    delimiter = b"\r\n" + body.partition(b"\r\n")[0]
    parts = (b"\r\n" + body).split(delimiter, _MAX_FORM_FIELDS + 2)
    if len(parts) > _MAX_FORM_FIELDS + 2:
        _refuse("the form has too many fields")
    found = []
    for part in parts:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if name is not None and b"filename" not in head:
            found.append((text.decode(name[1]), text.decode(value)))
    return found


def _grown(pairs: list[tuple[str, str]]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, value in pairs:
        head, _, rest = name.partition("[")
        _plant(tree, [head, *_BRACKET.findall("[" + rest)][:_MAX_FORM_DEPTH], _unpacked(value))
    return tree


def _plant(tree: dict[str, object], path: list[str], value: object) -> None:
    """Put `a[b][0]=x` where JSON would have it, lists as objects with numbered fields."""
    for name in path[:-1]:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    # PHP's `a[]=x` names no index and means the next one
    tree[path[-1] or str(len(tree))] = value


def _within_text(fields: Mapping[str, object], path: tuple[str, ...]) -> object:
    """What stands at a path that leads through a JSON text, which is an object from then on."""
    here: object = fields
    for at, name in enumerate(path):
        if not isinstance(here, dict):
            return None
        if at + 1 < len(path):
            here[name] = _unpacked(here.get(name))
        here = here.get(name)
    return here


def _unpacked(value: object) -> object:
    """A field whose text is a JSON object or list, as its sender meant it; any other as it is."""
    if not isinstance(value, str) or value[:1] not in "{[%" or len(value) < 2:
        return value
    for written in (value, text.mended(value)):
        if written.startswith(_JSON_TEXT):
            found = _read(written.encode("utf-8", "replace"))
            if isinstance(found, dict | list):
                return found
    return value


def _is_index(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 6


def text_of(value: object, *, limit: int = MAX_TEXT) -> str | None:
    """Trimmed text of a string or number that was decoded; see `Node.text`."""
    if type(value) is not str:
        return None if value is None else _text_of_other(value, limit)
    # a first, rough cut: mending goes over a text several times, and its sender chose the length
    value = value[: limit * 2]
    if not (value.isascii() and value.isprintable() and "&" not in value and "%" not in value):
        value = text.mended(value)
        if not value.isprintable():
            value = value.translate(_CONTROL)
    return value.strip()[:limit] or None


def _text_of_other(value: object, limit: int) -> str | None:
    if isinstance(value, list):
        first = value[0] if value else None
        return None if isinstance(first, list) else text_of(first, limit=limit)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _MAX_INTEGER else None
    if isinstance(value, Decimal):
        number = _number(value)
        return None if number is None else format(_trimmed(number), "f")[:limit]
    return None


def _number(value: object) -> Decimal | None:
    if isinstance(value, str):
        return _number_of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    # 1e999999 is short to send and a million digits to print
    usable = number.is_finite() and -MAX_DIGITS <= number.adjusted() < MAX_DIGITS
    return Decimal(0) if number == 0 else number if usable else None


def _number_of_text(written: str) -> Decimal | None:
    if _NUMBER.fullmatch(written):
        return Decimal(written)
    if not _WITH_COMMA.fullmatch(written):
        return None
    at = max(written.rfind(","), written.rfind("."))
    return Decimal(re.sub("[.,]", "", written[:at]) + "." + written[at + 1 :])


def _trimmed(number: Decimal) -> Decimal:
    return number.to_integral_value() if number == number.to_integral_value() else number
