"""values.yaml, values.schema.json and the README's table, made of the model."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from charts.generator.model import Chart

MADE_OF_RIGHTS = "Made by `make chart` from sinal_crds/rights.py; change that."
_MADE = "Made by `make chart` from charts/generator; change that."


def version() -> str:
    """The one version: of the code, its image and both charts."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def chart(text: str) -> str:
    """Chart.yaml with that version."""
    return re.sub(r"(?m)^(version|appVersion): .*$", lambda found: f"{found[1]}: {version()}", text)


def values() -> str:
    """values.yaml: every value with its default, under what it means."""
    return "\n".join([f"# {_MADE}\n", *_lines(Chart(), 0), ""])


def schema() -> str:
    """values.schema.json, without references: the message then names the value."""
    whole = Chart.model_json_schema(by_alias=True)
    definitions = whole.pop("$defs")
    plain = _plain(whole, definitions)
    plain = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart sinal",
        **plain,
    }
    plain["properties"]["global"] = {
        "type": "object",
        "description": "Left to parent charts; not used here.",
    }
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def table() -> str:
    """Every value: name, default, meaning."""
    rows = (
        f"| `{name}` | {_default(value)} | {meaning} |"
        for name, value, meaning in _leaves(Chart(), "")
    )
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows, ""])


def definition(crd: str) -> str:
    """A definition as a template: kept when the chart is uninstalled, because its objects would go
    with it.
    """
    document = yaml.safe_load(crd)
    metadata = document["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), "helm.sh/resource-policy": "keep"}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    if "{{" in text:
        raise ValueError(f"{metadata['name']} has {{{{, which Helm would take for its own")
    return f"# {_MADE}\n{text}"


def _fields(of: BaseModel) -> Iterator[tuple[str, FieldInfo, Any]]:
    for name, field in type(of).model_fields.items():
        yield str(field.alias), field, getattr(of, name)


def _lines(of: BaseModel, depth: int) -> Iterator[str]:
    margin = "  " * depth
    for name, field, value in _fields(of):
        if depth == 0:
            yield ""
        yield f"{margin}# {field.description or (type(value).__doc__ or '').splitlines()[0]}"
        if isinstance(value, BaseModel):
            yield f"{margin}{name}:"
            yield from _lines(value, depth + 1)
        else:
            shown = yaml.safe_dump(
                {name: _bare(value)}, sort_keys=False, allow_unicode=True, width=10_000
            )
            yield from (margin + line for line in shown.splitlines())


def _leaves(of: BaseModel, above: str) -> Iterator[tuple[str, Any, str]]:
    for name, field, value in _fields(of):
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value, str(field.description)


def _default(value: Any) -> str:
    shown = json.dumps(_bare(value), ensure_ascii=False)
    return f"`{shown}`" if value not in ("", [], {}) else ""


def _bare(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _plain(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    named = node.get("properties")  # keys of which may be called like a keyword
    plain = {
        k: _plain(v, definitions)
        for k, v in node.items()
        if k not in ("title", "default", "properties")
    }
    if named is not None:
        plain["properties"] = {name: _plain(child, definitions) for name, child in named.items()}
    return plain
