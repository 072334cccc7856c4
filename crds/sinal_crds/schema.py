"""CustomResourceDefinitions from the models: `python -m sinal_crds.schema [FOLDER]` writes one file
a kind.

The API server wants a *structural* schema: no references, no unions with null, defaults on the way
down. Everything else (bounds, patterns, enums, CEL, list types, descriptions) is what the models
say. Invariant: the files under crds/manifests are exactly what this module makes; a test compares
them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sinal_crds.models import KINDS, Manifest
from sinal_crds.names import GROUP, NAME_PATTERN, VERSION

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
_HEADER = "# Made by `python -m sinal_crds.schema` from the models; change those.\n"
_KEPT = (
    *(
        "type",
        "format",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
    ),
    *(
        "required",
        "default",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-validations",
    ),
)
# What a status holds until the operator has looked: `kubectl wait` never sees a stale or a missing
# condition.
_UNSEEN = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "Waiting for the operator",
            # A default can't know the time, and conditions must have one: this one is plainly none.
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}

Column = tuple[str, str, str, int]  # name, type, path, priority (1: only with -o wide)


@dataclass(frozen=True)
class Face:
    """How a kind looks to kubectl."""

    plural: str
    short: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()


def _condition(part: str, type: str = "Ready") -> str:
    return f'.status.conditions[?(@.type=="{type}")].{part}'


_STATE: tuple[Column, ...] = (
    ("Ready", "string", _condition("status"), 0),
    ("Reason", "string", _condition("reason"), 0),
)
_TENANT: Column = ("Tenant", "string", ".spec.tenantRef", 0)
_MESSAGE: Column = ("Message", "string", _condition("message"), 1)
_AGE: Column = ("Age", "date", ".metadata.creationTimestamp", 0)

FACES: dict[str, Face] = {
    "Tenant": Face(
        plural="tenants",
        short="tn",
        columns=(
            *_STATE,
            ("Backlog", "integer", ".status.backlog", 0),
            ("Match %", "number", ".status.matchPercent", 0),
            ("Last event", "date", ".status.lastEvent", 0),
            ("Stream", "string", ".status.stream", 1),
            ("Routes", "string", _condition("status", "RoutesAccepted"), 1),
            ("Events 24h", "integer", ".status.events24h", 1),
            ("Delivering", "string", _condition("status", "Delivering"), 1),
            ("Receiving", "string", _condition("status", "Receiving"), 1),
            ("Suspended", "boolean", ".spec.suspended", 1),
            _MESSAGE,
            _AGE,
        ),
        selectable=(".spec.slug",),
    ),
    "Destination": Face(
        plural="destinations",
        short="dest",
        columns=(
            *_STATE,
            _TENANT,
            ("Backlog", "integer", ".status.backlog", 0),
            ("Delivering", "string", _condition("status", "Delivering"), 0),
            ("Breaker", "string", ".status.breaker", 0),
            ("Last success", "date", ".status.lastSuccess", 0),
            ("Pixel", "string", ".spec.meta.pixelId", 1),
            ("Suspended", "boolean", ".spec.suspended", 1),
            ("Dead", "integer", ".status.deadLetters", 1),
            ("Why", "string", _condition("reason", "Delivering"), 1),
            _MESSAGE,
            _AGE,
        ),
        selectable=(".spec.tenantRef", ".spec.meta.pixelId"),
    ),
    "Funnel": Face(
        plural="funnels",
        short="fn",
        columns=(
            *_STATE,
            _TENANT,
            ("Match %", "number", ".status.matchPercent", 0),
            ("Last event", "date", ".status.lastEvent", 0),
            ("Type", "string", ".spec.type", 1),
            ("Suspended", "boolean", ".spec.suspended", 1),
            ("Events 24h", "integer", ".status.events24h", 1),
            _MESSAGE,
            _AGE,
        ),
        selectable=(".spec.tenantRef", ".spec.type"),
    ),
    "GatewayIntegration": Face(
        plural="gatewayintegrations",
        short="gwi",
        columns=(
            *_STATE,
            _TENANT,
            ("Gateway", "string", ".spec.gateway", 0),
            ("Funnel", "string", ".spec.funnelRef", 0),
            ("Last delivery", "date", ".status.lastDelivery", 0),
            ("Suspended", "boolean", ".spec.suspended", 1),
            ("Rejects", "integer", ".status.rejects", 1),
            ("Drift", "integer", ".status.drift", 1),
            _MESSAGE,
            _AGE,
        ),
        selectable=(".spec.tenantRef", ".spec.funnelRef", ".spec.gateway"),
    ),
}


def definition(kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    face = FACES[kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{face.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": face.plural,
                "singular": kind.lower(),
                "shortNames": [face.short],
                "categories": ["sinal"],
            },
            "versions": [_version(KINDS[kind], face)],
        },
    }


def render(kind: str) -> str:
    """The definition as the text of its file."""
    return _HEADER + yaml.safe_dump(
        definition(kind), sort_keys=False, width=110, allow_unicode=True
    )


def file_name(kind: str) -> str:
    """Name of a kind's file under crds/manifests."""
    return f"{GROUP}_{FACES[kind].plural}.yaml"


def structural(model: type[Manifest]) -> dict[str, Any]:
    """The structural schema of a kind."""
    raw = model.model_json_schema(by_alias=True)
    schema = _clean(raw, raw.get("$defs", {}))
    properties = schema["properties"]
    properties["apiVersion"] = {"type": "string", "description": f"{GROUP}/{VERSION}."}
    properties["kind"] = {"type": "string", "description": f"{model.__name__}."}
    # Of metadata a definition may restrict name and generateName only.
    properties["metadata"] = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 63, "pattern": NAME_PATTERN}},
    }
    properties["status"]["default"] = _UNSEEN
    schema["required"] = [name for name in schema["required"] if name == "spec"]
    if not schema["required"]:
        del schema["required"]
    return schema


def _version(model: type[Manifest], face: Face) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in face.columns],
        "schema": {"openAPIV3Schema": structural(model)},
    }
    if face.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in face.selectable]
    return version


def _column(column: Column) -> dict[str, Any]:
    name, kind, path, priority = column
    wide = {"priority": priority} if priority else {}
    return {"name": name, "type": kind, "jsonPath": path, **wide}


def _clean(node: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """One schema node without references, nulls and what the API server does not know."""
    node = _resolved(node, defs)
    schema: dict[str, Any] = {}
    if text := node.get("description"):
        schema["description"] = " ".join(text.split())
    schema |= {key: node[key] for key in _KEPT if key in node and node[key] is not None}
    # A structural schema has no `const`.
    if "const" in node:
        schema |= {"type": "string", "enum": [node["const"]]}
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    if "items" in node:
        schema["items"] = _clean(node["items"], defs)
    if schema.get("default") == []:
        del schema["default"]  # an absent list is an empty one
    if "properties" in node:
        schema["properties"] = {
            name: _clean(child, defs) for name, child in node["properties"].items()
        }
        if "default" in schema:
            # whole, because the API server tries the rules on a default before it fills in those of
            # the fields inside
            schema["default"] = {
                n: c["default"] for n, c in schema["properties"].items() if "default" in c
            }
    return schema


def _resolved(node: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The node with what it refers to, or with the one alternative that is not null, under its own
    words.
    """
    if "anyOf" in node:
        (choice,) = (item for item in node["anyOf"] if item.get("type") != "null")
        node = {**choice, **{key: value for key, value in node.items() if key != "anyOf"}}
    if "$ref" in node:
        target = defs[node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return _resolved(node, defs)
    return node


def main(folder: Path) -> None:
    """Write every definition into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (folder / file_name(kind)).write_text(render(kind), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MANIFESTS)
