"""Whether a refund gave back the whole or a part.

Gateways have one word for both. Where a delivery tells the amount that went back beside the amount
that was paid, the two are compared; a word ("parcial") counts where no amount is told.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from sinal_hub.gateways import _money
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._names import spelled
from sinal_hub.model.sale import Status

_AMOUNTS = (
    "refundamount", "refundedamount", "amountrefunded", "refundvalue", "refundedvalue", "valuerefunded",
    "totalrefunded", "refundedtotal", "transrefundvalue", "transrefundedvalue", "valorreembolsado", "valorreembolso",
    "valordevolvido", "valorestornado",
)  # fmt: skip
_FLAGS = ("partial", "ispartial", "partialrefund", "ispartialrefund", "parcial")
_KINDS = ("refundtype", "refundkind", "refundstatus", "tiporeembolso", "tipoestorno")
_BELOW = ("refund", "reembolso")  # an object of the refund, with `amount` or `value` and `type`
_PART = ("parcial", "partial")  # what its words contain

Given = str | msgspec.UnsetType


def given_back(
    status: Status, value: str | None, code: str | None, *nodes: Node, in_cents: bool = False
) -> tuple[Status, Given]:
    """The status of a refund, whole or in part, and what was given back.

    Any other status as it is.
    """
    if status not in ("refunded", "partially_refunded"):
        return status, msgspec.UNSET
    places = [place for node in nodes for place in _places(node)]
    given = next(
        (amount for place in places if (amount := _amount(place, code, in_cents)) is not None), None
    )
    if given is not None:
        part = value is not None and Decimal(given) < Decimal(value)
        return ("partially_refunded" if part else status), given
    words = [
        (place.text(name) or "").lower() for place in places for name in _KINDS if name in place
    ]
    part = any(word in told for told in words for word in _PART)
    part = part or any(
        place.flag(name) is True for place in places for name in _FLAGS if name in place
    )
    return ("partially_refunded" if part else status), msgspec.UNSET


def fact(status: Status, given: Given) -> str | None:
    """What tells one partial refund of an order from another, for its key."""
    return given if status == "partially_refunded" and isinstance(given, str) else None


def _places(node: Node) -> list[Node]:
    """A node, and the refund below it with names as if they stood beside the others."""
    found = [spelled(node)]
    for name in _BELOW:
        if name not in found[0]:
            continue
        below = spelled(found[0].node(name))
        amount = below.raw("amount") if "amount" in below else below.raw("value")
        found.append(
            Node(
                {
                    "refundamount": amount,
                    "refundtype": below.raw("type"),
                    "partial": below.raw("partial"),
                }
            )
        )
    return found


def _amount(place: Node, code: str | None, in_cents: bool) -> str | None:
    for name in _AMOUNTS:
        if name not in place:
            continue
        below = spelled(place.node(name))
        at = Node({name: below.raw("value")}) if below else place
        told = (
            _money.cents(at.number(name), code) if in_cents else _money.amount(at, name, code=code)
        )
        if told is not None and Decimal(told) > 0:
            return told
    return None
