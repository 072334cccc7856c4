"""YAML documents as plain data, with the line of every field.

Values are read as `kubectl` reads them (yes/no/on/off are booleans, dates are strings, merge keys
work), so that a manifest means the same here and there. Invariant: reading is bounded in size,
depth and expanded nodes for any input.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, Event
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 16 << 20
_MAX_DEPTH = 64
_MAX_NODES = 200_000  # of one document, aliases expanded

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"y", "yes", "true", "on"})
_FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML with the scalar rules of Go's YAML library, which reads manifests for kubectl."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


def _resolves(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(_TAG + tag, re.compile(pattern), list(first))


_resolves(
    "bool",
    r"^(y|Y|n|N|(yes|no|on|off|true|false|Yes|No|On|Off|True|False|YES|NO|ON|OFF|TRUE|FALSE))$",
    "yYnNoOtTfF",
)
_resolves("null", r"^(~|null|Null|NULL|)$", "~nN")
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^$"), [""])
_resolves(
    "int", r"^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0[0-7_]*|[1-9][0-9_]*)$", "-+0123456789"
)
_resolves("float", _FLOAT.pattern, "-+.0123456789")
_resolves("merge", r"^<<$", "<")


@dataclass(frozen=True)
class YamlFault:
    """Something wrong at a place of a document."""

    path: Path
    message: str
    line: int | None = None  # where it is known better than the path tells


@dataclass(frozen=True)
class Document:
    """One document: its data, the line of each field by path, and what was wrong with it."""

    data: Any
    line: int
    lines: dict[Path, int] = field(default_factory=dict)
    faults: tuple[YamlFault, ...] = ()

    def line_of(self, path: Path) -> int:
        """Line of the field, or of the nearest field around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


class _Refused(Exception):
    def __init__(self, node: Node | Event, message: str) -> None:
        self.line = _line(node)
        super().__init__(message)


def documents(text: str) -> Iterator[Document]:
    """Every document that is not empty.

    A syntax error ends the file with a document that holds only the fault.
    """
    if len(text) > MAX_BYTES:
        yield _broken(1, f"is larger than {MAX_BYTES >> 20} MiB; split the file")
        return
    try:
        _bound_depth(text)
        yield from map(_document, _nodes(text))
    except _Refused as refusal:
        yield _broken(refusal.line, str(refusal))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield _broken(mark.line + 1 if mark else 1, f"is not valid YAML: {_problem(error, text)}")
    except yaml.YAMLError as error:
        yield _broken(1, f"is not valid YAML: {str(error).splitlines()[0]}")


def _problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """The parser's words, with what they mostly mean."""
    words = str(error.problem or error.context)
    shifted = (
        "did not find expected key",
        "mapping values are not allowed",
        "did not find expected '-' indicator",
    )
    if words.startswith(shifted):
        return f"{words}; compare the indentation of this line with those above"
    line = "".join(text.splitlines()[error.problem_mark.line :][:1]) if error.problem_mark else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{words}; it is a tab: YAML is indented with spaces"
    return words


def _bound_depth(text: str) -> None:
    """Refuse deep nesting before nodes are composed: libyaml's composer recurses without a
    limit.
    """
    depth = 0
    with suppress(yaml.YAMLError):  # composing meets the same error, after the documents before it
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, CollectionStartEvent):
                depth += 1
                if depth > _MAX_DEPTH:
                    raise _Refused(event, f"is nested deeper than {_MAX_DEPTH} levels")
            elif isinstance(event, CollectionEndEvent):
                depth -= 1


def _nodes(text: str) -> Iterator[Node]:
    """Root nodes of the documents that are not empty."""
    for node in yaml.compose_all(text, Loader=_Loader):
        if not (isinstance(node, ScalarNode) and node.tag == _TAG + "null"):
            yield node


def _line(node: Node | Event) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _broken(line: int, message: str) -> Document:
    return Document(data=None, line=line, faults=(YamlFault((), message, line),))


def _document(node: Node) -> Document:
    reader = _Reader()
    line = _line(node)
    try:
        data = reader.read(node, ())
    except _Refused as refusal:
        return _broken(refusal.line, str(refusal))
    return Document(data, line, reader.lines, tuple(reader.faults))


class _Reader:
    """Turns one document's nodes into data, within the bounds."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.faults: list[YamlFault] = []
        self._nodes = 0

    def read(self, node: Node, path: Path, depth: int = 0) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise _Refused(node, f"expands to more than {_MAX_NODES} values; use fewer aliases")
        if depth > _MAX_DEPTH:
            raise _Refused(
                node, f"is nested deeper than {_MAX_DEPTH} levels, or an alias contains itself"
            )
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self._item(item, (*path, i), depth) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)  # noqa: S101 - YAML has no fourth kind of node; this is for the type checker
        return _scalar(node)

    def _item(self, node: Node, path: Path, depth: int) -> Any:
        self.lines[path] = _line(node)
        return self.read(node, path, depth + 1)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = self._merge(value_node, path, depth) | merged
                continue
            key = self._key(key_node)
            line = _line(key_node)
            if key in data:
                self.faults.append(YamlFault((*path, key), "is set twice; keep one", line))
            self.lines[(*path, key)] = line
            data[key] = self.read(value_node, (*path, key), depth + 1)
        return merged | data

    def _merge(self, node: Node, path: Path, depth: int) -> dict[str, Any]:
        """The fields that a merge key brings in; of several sources the first wins."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, MappingNode):
                raise _Refused(source, "a merge key (<<) takes a mapping or a list of mappings")
            merged = self.read(source, path, depth + 1) | merged
        return merged

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise _Refused(node, "a field's name must be plain text")
        # A field called `on` is read as true. kubectl turns it into the text of JSON's boolean.
        if node.tag == _TAG + "bool":
            return "true" if _scalar(node) else "false"
        return str(node.value)


def _scalar(node: ScalarNode) -> Any:
    tag = node.tag.removeprefix(_TAG)
    text = str(node.value)
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() in _TRUE
    if tag == "int":
        return _integer(text)
    if tag == "float":
        return _number(node, text)
    if tag == "str":
        return text
    raise _Refused(node, f"tag {node.tag} is not allowed; write plain values")


def _integer(text: str) -> int | str:
    digits = text.replace("_", "")
    # 0644 is octal to kubectl, as in YAML 1.1.
    if re.fullmatch(r"[-+]?0[0-9]+", digits):
        return int(digits, 8)
    return int(digits, 0) if len(digits) <= 20 else text  # longer ones fit no field and no int64


def _number(node: ScalarNode, text: str) -> float | int:
    value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise _Refused(node, "infinity and NaN are not values of a field")
    # kubectl sends JSON, in which 1.0 becomes 1: an integer field takes it.
    return int(value) if value.is_integer() else value
