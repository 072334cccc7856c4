"""Lines of an order beside what was paid for it: Meta is told what each thing cost, and the sum is
at most that.

A line at its list price says more than the buyer paid when a coupon or a credit took something off
the whole. A sum that is less than the value stands as it is: the rest is delivery, taxes or fees,
which no line has.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from sinal_hub.gateways import _money
from sinal_hub.model.sale import Product


def fitted(
    products: Sequence[Product],
    value: str | None,
    currency: str | None,
    *,
    besides: Decimal | None = None,
) -> list[Product]:
    """The lines, made to add up to `value` less `besides` where they add up to more.

    `besides` is what the value has in it that no line has: delivery and the like, in major units.
    """
    paid = None if value is None else max(Decimal(value) - (besides or Decimal(0)), Decimal(0))
    values = _money.shared(
        [product.value for product in products], None if paid is None else str(paid), currency
    )
    pairs = zip(products, values, strict=True)
    return [msgspec.structs.replace(product, value=value) for product, value in pairs]
