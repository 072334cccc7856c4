"""What pydantic found, said for the person who wrote the manifest: which field, what is wrong, what
to do instead.

Invariant: no message holds a value of a field that may be a secret, or more than a short scalar of
any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sinal_crds.models.common import PATTERN_HELP
from sinal_crds.yamldoc import Path, YamlFault

_AS_BOOLEAN = "YAML reads a bare yes, no, on or off as true or false"
_SHOWN = 40  # characters of a wrong value


def faults(error: ValidationError, model: type[BaseModel]) -> list[YamlFault]:
    """Every fault in the order of the document's fields."""
    return [fault for item in error.errors(include_url=False) for fault in _faults(item, model)]


def path_of(text: str) -> Path:
    """The path of `spec.events[0].send`."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", text))


def path_text(path: Path) -> str:
    """`spec.events[0].send`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _faults(item: Any, model: type[BaseModel]) -> Iterator[YamlFault]:
    path: Path = tuple(item["loc"])
    if item["type"] == "rules":
        for rule in item["ctx"]["broken"]:
            yield YamlFault((*path, *rule.field.split(".")), rule.message)
    elif item["type"] == "extra_forbidden":
        yield YamlFault(path, _unknown_field(str(path[-1]), _fields(model, path[:-1])))
    else:
        describe = _DESCRIBE.get(item["type"])
        yield YamlFault(
            path, describe(item) if describe else item["msg"][:1].lower() + item["msg"][1:]
        )


def suggestion(word: str, known: list[str]) -> str:
    """`; did you mean …?` when a known word is near, else the whole list."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f"; did you mean {by_lower[near[0]]}?" if near else f"; use one of {', '.join(known)}"


def _unknown_field(name: str, known: list[str]) -> str:
    if name in ("on", "true") and "when" in known:
        return "unknown field; did you mean when? (YAML reads a bare `on` as true)"
    return "unknown field" + suggestion(name, known)


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """Names of the fields at a path, as they are written in YAML."""
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, str) and current is not None:
            current = next(
                (
                    _model_of(f.annotation)
                    for n, f in current.model_fields.items()
                    if part == (f.alias or n)
                ),
                None,
            )
    if current is None:
        return []
    # A status is taken and dropped: nobody is to be led to write one.
    return [field.alias or name for name, field in current.model_fields.items() if name != "status"]


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, UnionType):
        return next((found for arg in get_args(annotation) if (found := _model_of(arg))), None)
    return None


def _shown(item: Any) -> str:
    """The wrong value, if it is short and can be no secret."""
    value = item["input"]
    # without the first letter, which camelCase turns into a capital
    secret = any("ecret" in str(part) or "oken" in str(part) for part in item["loc"])
    if secret or isinstance(value, dict | list) or len(str(value)) > _SHOWN:
        return ""
    return f" (got {value!r})" if isinstance(value, str) else f" (got {str(value).lower()})"


def _wrong_type(wanted: str, way_out: str = "") -> Callable[[Any], str]:
    def describe(item: Any) -> str:
        return f"must be {wanted}{_shown(item)}{way_out}"

    return describe


def _text(item: Any) -> str:
    if not isinstance(item["input"], dict | list):
        return f"must be text{_shown(item)}; put it in quotes"
    fields = [part for part in item["loc"] if isinstance(part, str)]
    return (
        "must be a name as text"
        if fields and fields[-1].endswith(("Ref", "Refs"))
        else "must be text"
    )


def _choice(item: Any) -> str:
    known = [
        word.strip().strip("'") for word in item["ctx"]["expected"].replace(" or ", ", ").split(",")
    ]
    if len(known) == 1:
        return f"must be {known[0]}{_shown(item)}"
    if isinstance(item["input"], bool):
        return f"must be one of {', '.join(known)}{_shown(item)}; {_AS_BOOLEAN}"
    return f"must be one of {', '.join(known)}{_shown(item)}{_near(item['input'], known)}"


def _near(value: Any, known: list[str]) -> str:
    text = suggestion(str(value), known)
    return text if "did you mean" in text else ""


def _pattern(item: Any) -> str:
    return (
        f"is not valid{_shown(item)}; "
        f"{PATTERN_HELP.get(item['ctx']['pattern'], 'see the reference of this field')}"
    )


def _bound(words: str, key: str) -> Callable[[Any], str]:
    def describe(item: Any) -> str:
        limit = item["ctx"][key]
        return f"must be {words} {int(limit) if limit == int(limit) else limit}{_shown(item)}"

    return describe


def _size(words: str, key: str, unit: str) -> Callable[[Any], str]:
    def describe(item: Any) -> str:
        limit = item["ctx"][key]
        return f"must have {words} {limit} {unit}{'' if limit == 1 else 's'}"

    return describe


def _object(item: Any) -> str:
    if (
        isinstance(item["input"], str)
        and item["loc"]
        and str(item["loc"][-1]).endswith("SecretRef")
    ):
        return "must be a mapping; write {name: …}"
    return "must be a mapping of fields"


_DESCRIBE: dict[str, Callable[[Any], str]] = {
    "missing": lambda item: "is required",
    "string_type": _text,
    "int_type": _wrong_type("a whole number", "; write digits without quotes"),
    "int_from_float": _wrong_type("a whole number"),
    "float_type": _wrong_type("a number", "; write it without quotes"),
    "bool_type": _wrong_type("true or false", "; write it without quotes"),
    "list_type": _wrong_type("a list", "; put a - before each item"),
    "dict_type": _object,
    "model_type": _object,
    "literal_error": _choice,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _size("at least", "min_length", "character"),
    "string_too_long": _size("at most", "max_length", "character"),
    "too_long": _size("at most", "max_length", "item"),
    "too_short": _size("at least", "min_length", "item"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than_equal": _bound("at most", "le"),
    "duplicate": lambda item: f"{item['ctx']['key']!r} is listed twice; keep one",
}
