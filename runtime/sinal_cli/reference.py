"""Reference pages from code: `python -m sinal_cli.reference [FOLDER]` writes settings, manifests,
metrics and OpenAPI.

Invariant: the files under docs/ are exactly what this module makes; a test compares them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from sinal_cli.manifests_page import default, manifests_page
from sinal_cli.metrics_page import metrics_page
from sinal_core.settings import Settings
from sinal_crds.keyring import Keyring

_MADE = "<!-- Made by `make docs` from the code; change that. -->\n"


def settings_page() -> str:
    """Every setting of a process: variable, default, meaning."""
    rows = [
        f"| `SINAL_{name.upper()}` | {_default(field.get_default())} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    text = (
        "Every role reads these variables once, when it starts. Secrets belong into a Secret, "
        "not into a manifest.\n"
    )
    head = "| variable | default | meaning |\n| --- | --- | --- |"
    return "\n".join([_MADE, "# Settings of a process\n", text, head, *rows, ""])


def openapi() -> str:
    """The operations API's OpenAPI document."""
    from sinal_api.app import Parts, build

    # the document is made without a request, so nothing behind the routes is asked
    nothing: Any = None
    document = build(Parts(nothing, nothing, nothing, None, keyring=Keyring.generate())).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    return {
        "operators/settings.md": settings_page(),
        "operators/manifests.md": _MADE + "\n" + manifests_page(),
        "operators/metrics.md": _MADE + "\n" + metrics_page(),
        "users/openapi.json": openapi(),
    }


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return ""
    secret = getattr(value, "get_secret_value", None)
    return default(secret() if secret else value)


def main() -> None:
    """Write the pages."""
    folder = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "docs"
    )
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
