"""What has been given back of an order, and what that makes of its state.

Some refunds say what they give back and not what the order cost (Shopify). The order knows: while
less than that has been given back, it stands as refunded in part, whatever sequence its deliveries
arrive in.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from sinal_hub.matching.order_state import OrderState
from sinal_hub.model.events import Event

_GIVEN_BACK = ("refunded", "partially_refunded")


class Refunds(msgspec.Struct, frozen=True):
    """In major units: `parts`, the sum of refunds told one by one.

    `total`, the greatest total that was told.
    """

    parts: Decimal | None = None
    total: Decimal | None = None

    @property
    def given(self) -> Decimal:
        """All that has been given back, as far as it was told.

        A refund may be told in both ways.
        """
        return max(self.parts or Decimal(0), self.total or Decimal(0))

    def plus(self, event: Event) -> Refunds:
        """With what one more sale tells of."""
        sale = event.sale
        if sale is None or sale.status not in _GIVEN_BACK or not sale.refunded_value:
            return self
        amount = Decimal(sale.refunded_value)
        if is_part(event):
            return Refunds((self.parts or Decimal(0)) + amount, self.total)
        return Refunds(self.parts, max(self.total or Decimal(0), amount))

    def merged(self, other: Refunds) -> Refunds:
        """Of two orders that are one."""
        parts = [amount for amount in (self.parts, other.parts) if amount is not None]
        totals = [amount for amount in (self.total, other.total) if amount is not None]
        return Refunds(sum(parts, Decimal(0)) if parts else None, max(totals, default=None))

    def leave(self, cost: Decimal | None) -> bool:
        """Whether anything is left of an order that cost so much.

        False where its cost is unknown.
        """
        return cost is not None and self.given < cost

    def settled(self, state: OrderState, cost: Decimal | None) -> OrderState:
        """The state by what is left: refunds told one by one are in part until they have given back
        all.
        """
        if self.parts is None or cost is None or state.status not in _GIVEN_BACK:
            return state
        return OrderState("partially_refunded" if self.leave(cost) else "refunded", state.at)


def is_part(event: Event) -> bool:
    """Whether a refund tells what it alone gave back, and nothing of what the order cost."""
    sale = event.sale
    if sale is None or event.value is not None:
        return False
    return sale.status in _GIVEN_BACK and bool(sale.refunded_value)
