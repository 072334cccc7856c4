"""The reference of the custom resources: of each kind an example, its fields, its rules, its
status.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sinal_crds.models.common import PATTERN_HELP

CRDS = Path(__file__).resolve().parents[2] / "crds"
EXAMPLES = CRDS / "examples"
KINDS = ("tenants", "destinations", "funnels", "gatewayintegrations")
_INTRODUCTION = """\
Four kinds describe what is tracked. A Tenant has Destinations (where conversions go) and Funnels (pages and sales); a
GatewayIntegration brings the sales of one payment gateway's account to a Funnel. They refer to each other by name
within one namespace; their Secrets lie there too.

Every example below is whole, with each field that there is; most fields can be left out. Together they are one shop.
Check your own before you apply them, without a cluster:

```sh
sinal manifests check my-shop/
```

It knows what the tables say and more: whether what is referred to is there, and whether slugs and hosts are taken. What
a status says, and what to do about it: [operator.md](operator.md). Smaller examples, for the sandbox:
[`examples/`](../../examples).
"""
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "minItems": "at least",
    "maxItems": "at most",
}
_SEE = {  # fields that another page goes on with
    "gateway": "All of them: [gateways.md](../users/gateways.md).",
    "credentialsSecretRef": "The keys of each gateway: [gateways.md](../users/gateways.md).",
}


def manifests_page() -> str:
    """The whole page."""
    parts = ["# Manifests\n", _INTRODUCTION]
    for kind in KINDS:
        crd = yaml.safe_load(
            (CRDS / "manifests" / f"sinal.dev_{kind}.yaml").read_text(encoding="utf-8")
        )
        parts += _kind(
            crd["spec"]["names"], crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        )
    return "\n".join(parts)


def fields(
    path: str, schema: dict[str, Any], *, required: bool = False
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Every field of a schema with its path, that of a list's items behind `[]`."""
    if path:
        yield path, schema, required
    inner = schema.get("items", schema)
    above = f"{path}{'[]' if 'items' in schema else ''}." if path else ""
    for name, part in inner.get("properties", {}).items():
        yield from fields(f"{above}{name}", part, required=name in inner.get("required", ()))


def rules(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Rules over several fields: where they hold, and what they say."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    inner = schema.get("items", schema)
    for rule in inner.get("x-kubernetes-validations", ()) if "items" in schema else ():
        yield path, rule["message"]
    for name, part in inner.get("properties", {}).items():
        yield from rules(f"{path}.{name}" if path else name, part)


def _kind(names: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    yield f"## {names['kind']} (`{names['shortNames'][0]}`)\n"
    yield schema["description"] + "\n"
    yield f"```yaml\n{(EXAMPLES / (names['singular'] + '.yaml')).read_text(encoding='utf-8')}```\n"
    yield "| field of `spec` | type | default | meaning |\n| --- | --- | --- | --- |"
    yield from (_row(*field) for field in fields("", spec))
    told = list(rules("", {**schema, "properties": {"spec": spec}}))
    if told:
        yield "\nBeyond single fields:\n"
        yield from (f"- {_where(path)}{cell(message)}." for path, message in told)
    yield f"\nThe operator writes into `status` of a {names['kind']}:\n"
    yield "| field of `status` | meaning |\n| --- | --- |"
    yield from (
        f"| `{name}` | {cell(part['description'])} |" for name, part in status["properties"].items()
    )
    yield ""


def _where(path: str) -> str:
    inside = path.removeprefix("spec").removeprefix(".")
    return f"`{inside}`: " if inside else ""


def _row(path: str, schema: dict[str, Any], required: bool) -> str:
    inner = schema.get("items", schema)
    kind = schema.get("type", "")
    if "items" in schema:
        kind = f"list of {inner.get('type', 'object')}s"
    if "enum" in inner:
        kind = " \\| ".join(f"`{word}`" for word in inner["enum"])
    meaning = " ".join(
        filter(
            None, [cell(schema.get("description", "")), _SEE.get(path, ""), _limits(path, inner)]
        )
    )
    return (
        f"| `{path}` | {kind} | {'required' if required else default(schema.get('default'))} | "
        f"{meaning} |"
    )


def _limits(path: str, schema: dict[str, Any]) -> str:
    """What a value may be, in words: the API server has the patterns."""
    found = [f"{words} {schema[name]:,}" for name, words in _BOUNDS.items() if name in schema]
    if pattern := schema.get("pattern"):
        known = PATTERN_HELP.get(pattern, "")
        if not known and path not in _SEE:
            raise ValueError(f"{path}: a pattern without words of its own: add it to PATTERN_HELP")
        found += [cell(known)] if known else []
    elif "maxLength" in schema and "enum" not in schema:
        found.append(f"at most {schema['maxLength']} characters")
    return f"({'; '.join(found)})" if found else ""


def default(value: object) -> str:
    """A default as it is written in a table; empty for none."""
    if value is None or isinstance(value, dict):
        return ""
    return f"`{cell(json.dumps(value) if isinstance(value, bool | list) else str(value))}`"


def cell(value: object) -> str:
    """Text in one cell of a table."""
    return str(value).replace("|", "\\|").replace("\n", " ")
