"""What `custom_data` may hold: money of standard events, and the items of `contents`.

The money rules are for standard events only; a custom event name skips them, as seen on the real
API.
"""

from __future__ import annotations

import re
from typing import Any

from sinal_sandbox.refusals import (
    CONTENT_WITHOUT_ID,
    PURCHASE_WITHOUT_CURRENCY,
    PURCHASE_WITHOUT_VALUE,
    VALUE_WITHOUT_CURRENCY,
    EventRefusal,
)

STANDARD_EVENTS = frozenset(
    {
        "AddPaymentInfo",
        "AddToCart",
        "AddToWishlist",
        "CompleteRegistration",
        "Contact",
        "CustomizeProduct",
        "Donate",
        "FindLocation",
        "InitiateCheckout",
        "Lead",
        "PageView",
        "Purchase",
        "Schedule",
        "Search",
        "StartTrial",
        "SubmitApplication",
        "Subscribe",
        "ViewContent",
    }
)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?").fullmatch
_CONTENT_TYPES = ("product", "product_group")
_DELIVERY = ("in_store", "curbside", "home_delivery")
_CUSTOMER_WORDS = ("business", "business_line", "product_area", "medium")
SEGMENTS = frozenset(
    {f"{kind}_customer_to_{word}" for kind in ("new", "existing") for word in _CUSTOMER_WORDS}
    | {"customer_in_loyalty_program"}
)


def check(event_name: str, custom_data: Any) -> str | None:
    """The order id as text, or None; raises Refusal for money or items Meta refuses."""
    if custom_data is None:
        custom_data = {}
    if not isinstance(custom_data, dict):
        raise EventRefusal("custom_data", "must be an object")
    if event_name in STANDARD_EVENTS:
        _check_money(event_name, custom_data)
    contents = custom_data.get("contents")
    if contents is not None:
        _check_contents(contents)
    _one_of("custom_data.content_type", custom_data.get("content_type"), _CONTENT_TYPES)
    _one_of("custom_data.delivery_category", custom_data.get("delivery_category"), _DELIVERY)
    check_segment("custom_data.customer_segmentation", custom_data.get("customer_segmentation"))
    order_id = custom_data.get("order_id")
    if order_id is not None and type(order_id) not in (str, int):
        raise EventRefusal("custom_data.order_id", "must be a string")
    return None if order_id is None else str(order_id)


def check_segment(field: str, value: Any) -> None:
    """Refuse a customer segment that is none of Meta's words."""
    if value is not None and (type(value) is not str or value not in SEGMENTS):
        raise EventRefusal(field, f"must be one of {', '.join(sorted(SEGMENTS))}")


def _check_money(event_name: str, custom_data: dict[str, Any]) -> None:
    value, currency = custom_data.get("value"), custom_data.get("currency")
    if value is None:
        if event_name == "Purchase":
            raise EventRefusal(
                "custom_data.value", "is required for Purchase", subcode=PURCHASE_WITHOUT_VALUE
            )
    elif not _is_number(value):
        raise EventRefusal("custom_data.value", "must be a number")
    if currency is None or currency == "":
        if event_name == "Purchase":
            raise EventRefusal(
                "custom_data.currency",
                "is required for Purchase",
                subcode=PURCHASE_WITHOUT_CURRENCY,
            )
        if value is not None:
            raise EventRefusal(
                "custom_data.currency", "is required with value", subcode=VALUE_WITHOUT_CURRENCY
            )
    elif not (
        isinstance(currency, str)
        and len(currency) == 3
        and currency.isascii()
        and currency.isalpha()
    ):
        raise EventRefusal("custom_data.currency", "must be a three-letter ISO 4217 code")


def _is_number(value: Any) -> bool:
    # Not isinstance: to Python, true is an int.
    if type(value) in (int, float):
        return True
    if type(value) is not str:
        return False
    return _NUMBER(value) is not None


def _check_contents(contents: Any) -> None:
    if not isinstance(contents, list):
        raise EventRefusal("custom_data.contents", "must be an array of objects")
    for place, item in enumerate(contents):
        field = f"custom_data.contents[{place}]"
        if not isinstance(item, dict):
            raise EventRefusal(field, "must be an object")
        if item.get("id") in (None, ""):
            raise EventRefusal(f"{field}.id", "is required", subcode=CONTENT_WITHOUT_ID)
        _one_of(f"{field}.delivery_category", item.get("delivery_category"), _DELIVERY)


def _one_of(field: str, value: Any, words: tuple[str, ...]) -> None:
    if value is not None and value not in words:
        raise EventRefusal(field, f"must be one of {', '.join(words)}")
