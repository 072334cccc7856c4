"""Types of Python promise nothing about another's package: what is not a sale is told by its field,
early.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sinal_hub.identity import ClearUser, hash_user
from sinal_hub.model.sale import MalformedSale, Product, Sale, checked

SALE: dict[str, Any] = {
    "gateway": "acme", "event": "paid", "event_key": "acme:1", "status": "approved", "order_id": "1",
    "occurred_at": "2026-09-21T13:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"value": 297.0}, "value"),
        ({"value": "R$ 297,00"}, "value"),
        ({"value": "-1.00"}, "value"),
        ({"value": "10000000000000000"}, "value"),  # more digits than any amount that can be stored
        ({"value": "1000000000000.00"}, "value"),
        ({"refunded_value": "1e3"}, "refunded_value"),
        ({"status": "paid"}, "status"),
        ({"order_id": 1}, "order_id"),
        ({"occurred_at": None}, "occurred_at"),
        ({"tracking": None}, "tracking"),
        ({"products": [Product(id="1"), Product(id="2", value="9,90")]}, r"products\[1\]\.value"),
        ({"products": [{"id": 5}]}, r"products\[0\]\.id"),
        ({"customer": object()}, "no list of sales"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedSale, match=field) as refusal:
        checked([Sale(**SALE | changes)])
    assert not any(str(value) in str(refusal.value) for value in changes.values())


@pytest.mark.parametrize("given", [None, "sale", [None], [{"gateway": "acme"}], Sale(**SALE)])
def test_what_is_no_list_of_sales(given: Any) -> None:
    with pytest.raises(MalformedSale):
        checked(given)


def test_what_means_the_same_is_taken() -> None:
    user = hash_user(ClearUser(email="ana@example.com"))
    [found] = checked([Sale(**SALE | {"value": Decimal("1.50"), "customer": user})])
    assert (found.value, found.customer.em) == ("1.50", user.em)
    assert checked([Sale(**SALE)]) == [Sale(**SALE)]
