"""Reference pages from code: `python -m sinal_cli.reference [FOLDER]` writes settings, manifests,
metrics and OpenAPI.

Invariant: the files under docs/ are exactly what this module makes; a test compares them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from sinal_cli.manifests_page import default, manifests_page
from sinal_cli.metrics_page import metrics_page
from sinal_core.settings import Group
from sinal_crds.keyring import Keyring

_MADE = "<!-- Made by `make docs` from the code; change that. -->\n"


def settings_page() -> str:
    """Every setting of a process, by role and by group: variable, default, meaning, readers."""
    from sinal_cli.roles.base import RoleSettings

    who = readers()
    groups: dict[type[Group], list[str]] = {}
    for reader, settings in who.items():
        for group in _groups(settings):
            groups.setdefault(group, []).append(reader)
    head = "\n".join(
        [
            _MADE,
            "# Settings of a process\n",
            "Each role reads its variables once, when it starts, and no other role's. Secrets belong "
            "into a Secret, not into a manifest.\n",
            "## By role\n",
            "| role or command | reads |",
            "| --- | --- |",
        ]
    )
    shared = _groups(RoleSettings)
    by_role = [
        f"| `{reader}` | {_links(one for one in _groups(settings) if one not in shared)} |"
        for reader, settings in who.items()
        if reader != "up"
    ]
    text = f"Every role of `sinal run` reads {_links(shared)} besides. `sinal up` reads what its "
    text += "roles do (all but operator and metrics adapter), as far as it does not decide itself."
    sections = [_section(group, groups[group]) for group in groups]
    return "\n".join([head, *by_role, "", text, "", *sections])


def readers() -> dict[str, type[Group]]:
    """What reads settings, as it is called on the command line."""
    # here, so that the other pages are made without the libraries of every role
    from sinal_cli.roles.adapter import AdapterSettings
    from sinal_cli.roles.api import ApiSettings
    from sinal_cli.roles.dispatch import DispatchSettings
    from sinal_cli.roles.housekeeping import HousekeepingSettings
    from sinal_cli.roles.ingest import IngestSettings
    from sinal_cli.roles.match import MatchSettings
    from sinal_cli.roles.operator import OperatorSettings
    from sinal_cli.settings import BackupSettings, MigrateSettings
    from sinal_cli.stack import StackSettings

    return {
        "run ingest": IngestSettings,
        "run match": MatchSettings,
        "run dispatch": DispatchSettings,
        "run housekeeping": HousekeepingSettings,
        "run api": ApiSettings,
        "run operator": OperatorSettings,
        "run metrics-adapter": AdapterSettings,
        "migrate": MigrateSettings,
        "backup": BackupSettings,
        "restore": BackupSettings,
        "up": StackSettings,
    }


def _groups(settings: type[Group]) -> list[type[Group]]:
    """Classes whose own variables it reads, the most general first."""
    return [
        one
        for one in reversed(settings.__mro__)
        if issubclass(one, Group) and set(one.__annotations__) & set(one.model_fields)
    ]


def _section(group: type[Group], readers: list[str]) -> str:
    rows = [
        f"| `SINAL_{name.upper()}` | {_default(field.get_default())} | {field.description} |"
        for name, field in group.model_fields.items()
        if name in group.__annotations__
    ]
    head = f"## {_title(group)}\n\n| variable | default | meaning |\n| --- | --- | --- |"
    return "\n".join(
        [head, *rows, "", f"Read by {', '.join(f'`{reader}`' for reader in readers)}.", ""]
    )


def _title(group: type[Group]) -> str:
    return (group.__doc__ or group.__name__).splitlines()[0].rstrip(".")


def _links(groups: Iterable[type[Group]]) -> str:
    return ", ".join(map(_link, groups))


def _link(group: type[Group]) -> str:
    """To the group's section, by the anchor that a heading has on every site."""
    anchor = _title(group).lower().replace("'", "").replace(" ", "-")
    return f"[{_title(group)}](#{anchor})"


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
