"""What a funnel's value rules say now of an event that was composed without value or currency."""

from __future__ import annotations

from typing import Any

from sinal_crds.plan import ValuePlan


def completed(payload: dict[str, Any], rules: ValuePlan) -> dict[str, Any]:
    """The event with the currency that its value lacks, and a Purchase with the fixed value that it
    lacks.

    What was kept back for want of them is sent by a replay once the funnel says them; what has both
    stays as it is.
    """
    custom = payload.get("custom_data", {})
    if rules.currency is None or not isinstance(custom, dict):
        return payload
    if custom.get("value") is None:
        if (
            rules.source != "Fixed"
            or rules.fixed is None
            or payload.get("event_name") != "Purchase"
        ):
            return payload
        return {
            **payload,
            "custom_data": {**custom, "value": float(rules.fixed), "currency": rules.currency},
        }
    if custom.get("currency") is not None:
        return payload
    return {**payload, "custom_data": {**custom, "currency": rules.currency}}
