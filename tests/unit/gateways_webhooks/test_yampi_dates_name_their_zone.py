"""Yampi: a date stands beside its zone, and lines beside what the order cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sinal_hub.model.sale import Sale

Tree = Callable[[str], Any]
Parse = Callable[..., Sale]
PAID = "yampi/order.paid.reconstructed.json"


@pytest.mark.parametrize(
    ("local", "zone"),
    [("06:13:20", "America/Sao_Paulo"), ("05:13:20", "America/Manaus"), ("09:13:20", "UTC"), ("09:13:20", "Z"),
     ("09:13:20", "+00:00"), ("06:13:20", "-03:00"), ("05:13:20", "AMT"), ("06:13:20", "BRT"), ("06:13:20", None),
     ("06:13:20", "Mars/Olympus"), ("06:13:20", "../../etc/passwd"), ("06:13:20", "America"), ("06:13:20", "x" * 999)],
)  # fmt: skip
def test_a_date_is_of_the_zone_beside_it(
    local: str, zone: str | None, tree: Tree, sale: Parse
) -> None:
    date = {"date": f"2026-11-30 {local}.000000", "timezone": zone, "timezone_type": 3}
    payload = tree(PAID) | {"time": f"2026-11-30 {local}"}
    payload["resource"] |= {"created_at": date, "updated_at": date}
    assert sale("yampi", payload).occurred_at == "2026-11-30T09:13:20Z"
    # the delivery's own time is of that zone
    payload["resource"]["updated_at"] = {"timezone": zone}
    assert sale("yampi", payload).occurred_at == "2026-11-30T09:13:20Z"


def test_a_discount_is_spread_over_the_lines(tree: Tree, sale: Parse) -> None:
    payload = tree(PAID)
    items = [
        {"product_id": 1, "price": 100.0, "quantity": 1},
        {"product_id": 2, "price": 50.0, "quantity": 2},
    ]
    payload["resource"] |= {"value_total": 170.0, "value_shipment": 10.0, "items": {"data": items}}
    assert [product.value for product in sale("yampi", payload).products] == ["80.00", "80.00"]


def test_delivery_is_no_line(tree: Tree, sale: Parse) -> None:
    assert [product.value for product in sale("yampi", tree(PAID)).products] == ["124.52"]
