"""First money, later money and no money of subscriptions.

A trial and a cycle that costs nothing come with the word of an approval: nobody bought anything, so they are a change
of the subscription. The first charge after a trial is a purchase, whatever period it is of.
"""

from __future__ import annotations

from decimal import Decimal

from sinal_runtime.gateways.sale import Status


def status_of(status: Status, value: str | None, *, subscribed: bool) -> Status:
    """The status of an approval: of a subscription that cost nothing it is a change, else the approval it says."""
    free = value is not None and Decimal(value) == 0
    return "subscription_changed" if subscribed and free and status in ("approved", "subscription_renewed") else status


def is_later(*numbers: int | None) -> bool:
    """Whether one of the numbers that count charges says that this one is not the first."""
    return any(number is not None and number > 1 for number in numbers)
