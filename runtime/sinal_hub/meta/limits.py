"""What a tenant keeps from Meta, and what it tells Meta about the use of the rest.

Both follow the plan as it stands, at building and again at sending: what waited while a funnel
learnt to withhold a field leaves without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sinal_crds.plan import DataProcessing

ALL_CUSTOM = "custom_data.*"
_OF_EVENT = frozenset({"event_source_url", "referrer_url"})
_OF_MONEY = frozenset({"value", "currency"})  # a Purchase is refused without them


def without(payload: Mapping[str, Any], withheld: Sequence[str]) -> dict[str, Any]:
    """One server event without these fields (`WithheldField`).

    Meta refuses a website event that lacks its page or browser, so such an event says
    `system_generated`.
    """
    event = dict(payload)
    if not withheld:
        return event
    for field in _OF_EVENT.intersection(withheld):
        event.pop(field, None)
    event["user_data"] = user = _less(event.get("user_data"), withheld)
    if "custom_data" in event:
        custom = _less(event["custom_data"], withheld)
        if ALL_CUSTOM in withheld:
            custom = {field: value for field, value in custom.items() if field in _OF_MONEY}
        event["custom_data"] = custom
        if not custom:
            del event["custom_data"]
    is_whole = event.get("event_source_url") and user.get("client_user_agent")
    if event.get("action_source") == "website" and not is_whole:
        event["action_source"] = "system_generated"
    return event


def told(processing: DataProcessing | None) -> dict[str, Any]:
    """Meta's data processing options of an event (Marketing API, "Data Processing Options").

    Empty: not a word.
    """
    if processing is None:
        return {}
    if not processing.options:
        return {"data_processing_options": []}
    return {
        "data_processing_options": list(processing.options),
        "data_processing_options_country": processing.country,
        "data_processing_options_state": processing.state,
    }


def _less(fields: Any, withheld: Sequence[str]) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        return {}
    return {field: value for field, value in fields.items() if field not in withheld}
