"""Fields that Meta refuses by themselves: without them the event is good, so the field goes and the
event stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Subcode -> path of the field to leave out.
# 2804001 is a malformed `fbc`, 2804036 an invalid `lead_id`.
DROPPED_FIELD: dict[int, tuple[str, str]] = {
    2804001: ("user_data", "fbc"),
    2804036: ("user_data", "lead_id"),
}
NAMELESS_ITEM = 2804008  # an item of `contents` without id


def without_culprit(payload: Mapping[str, Any], subcode: int | None) -> dict[str, Any] | None:
    """The event without the field that the subcode blames.

    None where there is no such remedy or it was applied.
    """
    if subcode == NAMELESS_ITEM:
        return _replaced(payload, "custom_data", _with_named_items)
    if subcode not in DROPPED_FIELD:
        return None
    parent, field = DROPPED_FIELD[subcode]
    return _replaced(payload, parent, lambda part: {k: v for k, v in part.items() if k != field})


Part = dict[str, Any]


def _replaced(
    payload: Mapping[str, Any], parent: str, change: Callable[[Part], Part]
) -> dict[str, Any] | None:
    before = payload.get(parent)
    if not isinstance(before, dict):
        return None
    after = change(before)
    return None if after == before else {**payload, parent: after}


def _with_named_items(custom: Part) -> Part:
    items = custom.get("contents")
    if not isinstance(items, list):
        return custom
    return {
        **custom,
        "contents": [item for item in items if isinstance(item, dict) and item.get("id")],
    }
