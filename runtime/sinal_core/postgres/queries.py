"""Loads named statements from `sql/*.sql`: a line `-- name: <word>` starts one, which ends where
the next begins.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEAD = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


@cache
def load(package: str, file: str) -> dict[str, bytes]:
    """Statements of a package's `sql/<file>.sql` by name.

    Raises ValueError for a name given twice.
    """
    text = resources.files(package).joinpath("sql", f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _HEAD.split(text)
    found: dict[str, bytes] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise ValueError(f"{file}.sql: {name} is there twice")
        found[name] = body.strip().rstrip(";").encode()
    return found
