"""First money, later money and no money of subscriptions.

A trial and a cycle that costs nothing come with the word of an approval: nobody bought anything, so
they are a change of the subscription. The first charge after a trial is a purchase, whatever period
it is of. Where the charge itself does not tell, matching remembers the trial by the subscription's
id.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from sinal_hub.model.sale import Status


def status_of(status: Status, value: str | None, *, subscribed: bool) -> Status:
    """The status of an approval: of a subscription that cost nothing it is a change, else the
    approval it says.
    """
    free = value is not None and Decimal(value) == 0
    return (
        "subscription_changed"
        if subscribed and free and status in ("approved", "subscription_renewed")
        else status
    )


class Remembered(NamedTuple):
    """What a sale tells of its subscription, for the charge that follows a trial."""

    id: str | UnsetType
    trial: bool | UnsetType


def remembered(subscription: str | None, *, began: bool, renewal: bool) -> Remembered:
    """The subscription of a trial that began and of a charge that may be the first after one.

    Nothing of others.
    """
    trial = began and not renewal
    told = subscription if subscription is not None and (trial or renewal) else UNSET
    return Remembered(told, True if told is not UNSET and trial else UNSET)


def began(status: Status, value: str | None) -> bool:
    """Whether an approval was of nothing and is a change of the subscription for that (see
    `status_of`).
    """
    return status == "subscription_changed" and value is not None and Decimal(value) == 0


def is_later(*numbers: int | None) -> bool:
    """Whether one of the numbers that count charges says that this one is not the first."""
    return any(number is not None and number > 1 for number in numbers)
