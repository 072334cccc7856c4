"""Tests wait as long as a busy machine needs: no client of theirs gives up after its library's few
seconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
HTTPX = (
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "head",
    "options",
    "request",
    "stream",
    "Client",
    "AsyncClient",
)
# what is called, and the words of which it must be given one; an application in this process is not
# a matter of time
PATIENCE = {f"httpx.{name}": {"timeout", "transport"} for name in HTTPX} | {
    "nats.connect": {"connect_timeout"}
}


def impatient(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each call that leaves its patience to the library."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = ast.unparse(node.func)
        if name in PATIENCE and not PATIENCE[name] & {keyword.arg for keyword in node.keywords}:
            yield node.lineno, name


def test_no_client_of_a_test_gives_up_on_a_busy_machine() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line} {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in impatient(path.read_text())
    ]
    assert found == []


def test_a_call_without_patience_is_found() -> None:
    assert list(
        impatient("httpx.get(url)\nhttpx.get(url, timeout=60)\nawait_ = nats.connect(url)")
    ) == [
        (1, "httpx.get"),
        (3, "nats.connect"),
    ]
