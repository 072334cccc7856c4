"""Graph's `fields` parameter: `a,b{c,d}` chooses what of an object comes back."""

from __future__ import annotations

from typing import Any

from sinal_sandbox.errors import bad_parameter

Selection = dict[str, "Selection"]


def select(content: Any, fields: str) -> Any:
    """The chosen part of `content`; raises GraphError (100) for braces that don't close."""
    return _pick(content, parse(fields))


def parse(fields: str) -> Selection:
    """The tree of a `fields` text; an empty branch means the whole value."""
    root: Selection = {}
    stack, name = [root], ""
    for sign in fields:
        if sign not in ",{}":
            name += sign
            continue
        branch = stack[-1].setdefault(name.strip(), {}) if name.strip() else None
        name = ""
        if sign == "{" and branch is not None:
            stack.append(branch)
        elif sign == "}" and len(stack) > 1:
            stack.pop()
        elif sign != ",":
            raise bad_parameter(f"Syntax error in fields at {sign!r}", field="fields")
    if len(stack) != 1:
        raise bad_parameter("Syntax error in fields: a brace is not closed", field="fields")
    if name.strip():
        root.setdefault(name.strip(), {})
    return root


def _pick(content: Any, selection: Selection) -> Any:
    if not selection:
        return content
    if isinstance(content, list):
        return [_pick(item, selection) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        name: _pick(content[name], branch) for name, branch in selection.items() if name in content
    }
