"""Running the script as Argo CD does: `obj` is the object, the answer a table of status and
message.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lupa.lua51

SCRIPT = Path(__file__).resolve().parent / "health.lua"
# Lua 5.1 without a way out
_NOT_IN_ARGO = ("os", "io", "package", "require", "dofile", "loadfile", "debug")


def health(obj: dict[str, Any]) -> dict[str, str]:
    """What Argo CD would show of the object."""
    lua = lupa.lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    for library in _NOT_IN_ARGO:
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(obj, recursive=True)
    return dict(lua.execute(SCRIPT.read_text(encoding="utf-8")).items())
