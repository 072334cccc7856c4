"""What the event was worth and what was bought: Meta's `custom_data`.

Money arrives as decimal strings and leaves as JSON numbers of two decimals, the form that
`event_id` is made from. A value without a currency is refused by Meta for any event, so it is left
out. Of a Purchase it stays: what that lacks is for validation to say, and for the funnel to add
(`pricing`).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sinal_hub.model.events import Event

_CENT = Decimal("0.01")
_CURRENCY = re.compile(r"[A-Z]{3}")


def custom_data(
    event: Event, event_name: str, value: str | None, currency: str | None
) -> dict[str, Any]:
    """Meta's `custom_data`; empty when there is nothing to say."""
    found: dict[str, Any] = {}
    amount = number(value)
    code = (currency or "").strip().upper()
    if _CURRENCY.fullmatch(code):
        if amount is not None:
            found["value"] = amount
        found["currency"] = code
    elif amount is not None and event_name == "Purchase":
        found["value"] = amount
    if event.order_id:
        found["order_id"] = event.order_id
    contents = _contents(event)
    if contents:
        found["contents"] = contents
        found["content_ids"] = list(dict.fromkeys(item["id"] for item in contents))
        found["content_type"] = "product"
        # Meta documents `num_items` for this event alone.
        if event_name == "InitiateCheckout":
            found["num_items"] = sum(item["quantity"] for item in contents)
    found.update(_of_sale(event))
    return found


def number(text: str | None) -> float | None:
    """A decimal string as a JSON number of two decimals, or None when it is none."""
    try:
        amount = Decimal(text) if text is not None else None
        if amount is None or amount.is_nan():  # a quiet one is a decimal, and no error to round
            return None
        return float(amount.quantize(_CENT, rounding=ROUND_HALF_UP))
    except InvalidOperation:  # no number at all, infinite, or beyond 28 digits
        return None


def _of_sale(event: Event) -> dict[str, Any]:
    sale = event.sale
    if sale is None:
        return {}
    found: dict[str, Any] = {}
    name = next((product.name for product in sale.products if product.name), None)
    if name:
        found["content_name"] = name
    if sale.renewal:
        found["renewal"] = True
    if sale.method:
        found["payment_method"] = sale.method
    return found


def _contents(event: Event) -> list[dict[str, Any]]:
    """Items with an id (Meta refuses one without, 2804008); `item_price` is of one unit."""
    if event.sale is None:
        return [_item(i.id, i.quantity, number(i.price)) for i in event.items if i.id]
    return [
        _item(p.id, p.quantity, _unit(p.value, p.quantity)) for p in event.sale.products if p.id
    ]


def _unit(line_value: str | None, quantity: int) -> float | None:
    amount = number(line_value)
    return (
        amount if amount is None or quantity <= 1 else number(str(Decimal(str(amount)) / quantity))
    )


def _item(item_id: str, quantity: int, price: float | None) -> dict[str, Any]:
    item: dict[str, Any] = {"id": item_id, "quantity": max(1, quantity)}
    if price is not None:
        item["item_price"] = price
    return item
