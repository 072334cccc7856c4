"""Log lines are named by one vocabulary: `room.what_happened`, a literal, with the rest in fields
of their own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

RUNTIME = Path(__file__).parents[2] / "runtime"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
NAME = re.compile(r"[a-z]+\.[a-z_]+")
# What a field may be called is open; these would hold what no line may hold.
FORBIDDEN = {
    "body",
    "payload",
    "email",
    "phone",
    "name_of_person",
    "headers",
    "query",
    "path",
    "url_path",
    "token",
    "raw",
}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger in the runtime: place and call."""
    for path in sorted(RUNTIME.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
            ):
                continue
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name in ("log", "_log", "logger"):
                yield f"{path.relative_to(RUNTIME)}:{node.lineno}", node


def test_every_line_has_a_name_of_the_vocabulary() -> None:
    found = list(calls())
    assert len(found) > 50
    bad = [
        place
        for place, call in found
        if not (
            len(call.args) == 1
            and isinstance(call.args[0], ast.Constant)
            and NAME.fullmatch(str(call.args[0].value))
        )
    ]
    assert bad == []


def test_no_line_has_a_field_for_what_it_must_not_hold() -> None:
    bad = [
        (place, word.arg)
        for place, call in calls()
        for word in call.keywords
        if word.arg in FORBIDDEN
    ]
    assert bad == []
