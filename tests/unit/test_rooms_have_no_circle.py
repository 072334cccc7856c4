"""The rooms of the code, drawn from its imports: none leads back to itself, and the alias of before
is nobody's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "crds", ROOT / "operator", ROOT / "runtime")
OF_ROOMS = ("sinal_core", "sinal_hub")  # their folders are rooms; other packages are one each
ALIAS = "sinal_runtime"  # what packages of others import by the names of before


def modules() -> Iterator[tuple[str, Path]]:
    for folder in FOLDERS:
        for path in folder.glob("sinal_*/**/*.py"):
            yield (
                ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"),
                path,
            )


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sinal_"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("sinal_"))


def room(module: str) -> str:
    package, *rest = module.split(".")
    return f"{package}.{rest[0]}" if package in OF_ROOMS and rest else package


def rooms() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for module, path in modules():
        here = room(module)
        found.setdefault(here, set()).update(
            there for name in imported(path) if (there := room(name)) != here
        )
    return found


def test_no_room_leads_back_to_itself() -> None:
    drawn = rooms()
    assert {"sinal_core.nats", "sinal_hub.matching", "sinal_api", "sinal_operator"} <= drawn.keys()
    order = list(TopologicalSorter(drawn).static_order())  # raises CycleError with the circle
    assert (
        order.index("sinal_core.nats") < order.index("sinal_hub.store") < order.index("sinal_cli")
    )


def test_nothing_of_ours_imports_the_names_of_before() -> None:
    drawn = rooms()
    assert [name for name, there in drawn.items() if ALIAS in there] == []
