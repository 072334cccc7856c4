"""Reference pages from code: `python -m sinal_cli.reference [FOLDER]` writes settings, manifests, metrics and OpenAPI.

Invariant: the files under docs/ are exactly what this module makes; a test compares them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import PydanticUndefined

from sinal_cli.metrics_page import metrics_page
from sinal_crds.keyring import Keyring
from sinal_runtime.settings import Settings

_MADE = "<!-- Made by `make docs` from the code; change that. -->\n"
_CRDS = Path(__file__).resolve().parents[2] / "crds" / "manifests"
_KINDS = ("tenants", "destinations", "funnels", "gatewayintegrations")
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")


def settings_page() -> str:
    """Every setting of a process: variable, default, meaning."""
    rows = [
        f"| `SINAL_{name.upper()}` | {_default(field.get_default())} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    text = "Every role reads these variables once, when it starts. Secrets belong into a Secret, not into a manifest.\n"
    head = "| variable | default | meaning |\n| --- | --- | --- |"
    return "\n".join([_MADE, "# Settings of a process\n", text, head, *rows, ""])


def manifests_page() -> str:
    """Every field of the custom resources' specs."""
    parts = [_MADE, "# Manifests\n"]
    for kind in _KINDS:
        crd = yaml.safe_load((_CRDS / f"sinal.dev_{kind}.yaml").read_text(encoding="utf-8"))
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        names = crd["spec"]["names"]
        parts += [f"## {names['kind']} (`{names['shortNames'][0]}`)\n", schema["description"] + "\n"]
        parts += ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
        parts += [_field_row(*field) for field in _fields("spec", schema["properties"]["spec"])]
        parts.append("")
    return "\n".join(parts)


def openapi() -> str:
    """The operations API's OpenAPI document."""
    from sinal_runtime.api.app import Parts, build

    nothing: Any = None  # the document is made without a request, so nothing behind the routes is asked
    document = build(Parts(nothing, nothing, nothing, None, keyring=Keyring.generate())).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    return {
        "settings.md": settings_page(),
        "manifests.md": manifests_page(),
        "metrics.md": _MADE + "\n" + metrics_page(),
        "openapi.json": openapi(),
    }


def _fields(path: str, schema: dict[str, Any], *, required: bool = False) -> Iterator[tuple[str, dict[str, Any], bool]]:
    if path != "spec":
        yield path, schema, required
    inner = schema.get("items", schema)
    suffix = "[]" if "items" in schema else ""
    for name, part in inner.get("properties", {}).items():
        yield from _fields(f"{path}{suffix}.{name}", part, required=name in inner.get("required", ()))


def _field_row(path: str, schema: dict[str, Any], required: bool) -> str:
    inner = schema.get("items", schema)
    kind = schema.get("type", "")
    if "items" in schema:
        kind = f"list of {inner.get('type', 'object')}s"
    if "enum" in inner:
        kind = " \\| ".join(f"`{word}`" for word in inner["enum"])
    bounds = ", ".join(f"{name} `{_cell(inner[name])}`" for name in _BOUNDS if name in inner)
    default = "required" if required else _default(schema.get("default"))
    meaning = _cell(schema.get("description", "")) + (f" ({bounds})" if bounds else "")
    return f"| `{path.removeprefix('spec.')}` | {kind} | {default} | {meaning} |"


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined or isinstance(value, dict):
        return ""
    secret = getattr(value, "get_secret_value", None)
    text = secret() if secret else json.dumps(value) if isinstance(value, bool | list) else str(value)
    return f"`{_cell(text)}`"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "docs"
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
