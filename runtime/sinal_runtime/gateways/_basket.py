"""Lines of an order beside what was paid for it: Meta is told what each thing cost, and the sum is no more than that.

A line at its list price says more than the buyer paid when a coupon or a credit took something off the whole. What was
taken off is spread over the lines by their worth. A sum that is less than the value stands as it is: the rest is
delivery, taxes or fees, which no line has.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

import msgspec

from sinal_runtime.gateways import _money
from sinal_runtime.gateways.sale import Product


def fitted(
    products: Sequence[Product], value: str | None, currency: str | None, *, besides: Decimal | None = None
) -> list[Product]:
    """The lines, made to add up to `value` less `besides` where they add up to more.

    `besides` is what the value has in it that no line has: delivery and the like, in major units.
    """
    told = [Decimal(product.value) for product in products if product.value is not None]
    total = sum(told, Decimal(0))
    if value is None or len(told) < len(products) or total == 0:
        return list(products)
    paid = max(Decimal(value) - (besides or Decimal(0)), Decimal(0))
    if total <= paid:
        return list(products)
    return [
        msgspec.structs.replace(product, value=_money.major(share, currency))
        for product, share in zip(products, _shares(told, paid, _money.decimals(currency)), strict=True)
    ]


def _shares(amounts: Sequence[Decimal], whole: Decimal, decimals: int) -> list[Decimal]:
    """`whole` in parts like these amounts; what rounding leaves goes to the dearest line."""
    total, step = sum(amounts, Decimal(0)), Decimal(1).scaleb(-decimals)
    shares = [(amount * whole / total).quantize(step, rounding=ROUND_DOWN) for amount in amounts]
    dearest = max(range(len(amounts)), key=amounts.__getitem__)
    shares[dearest] += whole - sum(shares, Decimal(0))
    return shares
