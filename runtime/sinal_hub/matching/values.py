"""What a sale is worth to Meta under the funnel's rules: decimal arithmetic, two decimals."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from sinal_crds.plan import ValuePlan

_CENT = Decimal("0.01")


def worth(
    value: str | None, currency: str | None, rules: ValuePlan
) -> tuple[str | None, str | None]:
    """Value and currency to send.

    A fixed value stands for every sale, the multiplier is for the sale's own.

    The rules' currency is that of a value without one.
    """
    if rules.source == "Fixed" and rules.fixed is not None:
        return _cents(Decimal(rules.fixed)), rules.currency or currency
    if value is None:
        return None, currency
    return _cents(Decimal(value) * Decimal(rules.multiplier)), currency or rules.currency


def _cents(amount: Decimal) -> str:
    # As people round money, and as `meta_event_id` does: Decimal's own way rounds half to even.
    return str(amount.quantize(_CENT, rounding=ROUND_HALF_UP))
