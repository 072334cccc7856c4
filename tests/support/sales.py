"""What an event has of a normalised sale, as the edge makes it."""

from __future__ import annotations

from typing import Any

from sinal_hub.intake.events_from import sale_event
from sinal_hub.model.sale import Sale

_TOLD: tuple[str, ...] = (
    "click_id",
    "session_id",
    "external_id",
    "fbclid",
    "fbc",
    "fbp",
    "utm",
    "user",
    "ip",
)
_TOLD += ("user_agent", "value", "currency", "order_id", "sale", "v")
LATER_MS = 4_102_444_800_000  # 2100: no cookie of a test is from the future


def fields_of(sale: Sale) -> dict[str, Any]:
    """Fields of an `Event` about this sale."""
    event = sale_event(sale, tenant="t", funnel="f", integration="i", received_ms=LATER_MS)
    return {name: getattr(event, name) for name in _TOLD}
