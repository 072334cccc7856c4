"""Small XML answers as the same tolerant tree as JSON: elements become fields, repeated ones lists.

For PagBank's older API, which answers nothing else. Bounded in size and depth; a document type is
refused, since entities are the only thing in XML that can bite and no answer has any.
"""

from __future__ import annotations

from xml.parsers import expat

from sinal_hub.gateways import NotThisGateway, text
from sinal_hub.gateways._body import Node

MAX_BYTES = 1 << 20
_MAX_DEPTH = 20


class _Refused(Exception):
    """The document is more than a small answer."""


class _Reader:
    """Builds the tree while expat reads."""

    def __init__(self) -> None:
        self.root = ""
        self.fields: dict[str, object] = {}
        self._open: list[tuple[str, dict[str, object], list[str]]] = []

    def start(self, name: str, _attributes: object) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise _Refused
        self._open.append((name, {}, []))

    def text(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)

    def end(self, name: str) -> None:
        _, fields, texts = self._open.pop()
        if not self._open:
            self.root, self.fields = name, fields
            return
        above = self._open[-1][1]
        value: object = fields or "".join(texts).strip()
        known = above.get(name)
        above[name] = (
            value
            if known is None
            else [*known, value]
            if isinstance(known, list)
            else [known, value]
        )


def load(raw: bytes) -> tuple[str, Node]:
    """Name and fields of the root element.

    Raises NotThisGateway for what is not a small XML document.
    """
    if len(raw) > MAX_BYTES:
        raise NotThisGateway("the answer is too large")
    try:
        reader = _read(raw, None)
    except (expat.ExpatError, LookupError):  # LookupError: an encoding of its own invention
        try:
            # another than it says: UTF-8, else Windows-1252
            reader = _read(text.in_utf8(raw), "utf-8")
        except expat.ExpatError:
            raise NotThisGateway("the answer is not an XML document") from None
    return reader.root, Node(reader.fields)


def _read(raw: bytes, encoding: str | None) -> _Reader:
    reader, parser = _Reader(), expat.ParserCreate(encoding)
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(raw, True)
    except (_Refused, ValueError):
        raise NotThisGateway("the answer is not an XML document") from None
    return reader


def _refuse(*_arguments: object) -> None:
    raise _Refused
