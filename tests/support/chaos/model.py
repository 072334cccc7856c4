"""What must come of an order, said once more and without any code of the runtime: ranks, events and
consent.

Retries and redelivery may change the sequence in which an order's facts are worked on, so the model
plays every sequence: what a run shows of an order must be the ending of one of them. Where the
sequence does not matter, which is most orders, one ending is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import permutations

from tests.support.chaos.stories import Order, checkout_of

SENT = "sent"
VISITS = ("click", "initiate_checkout")
Ending = dict[str, str]  # fact -> "sent", or why it was withheld

# Later states have higher ranks; equal ones stand beside each other.
RANKS = (
    {"pending"},
    {"refused", "canceled", "expired"},
    {"approved"},
    {"completed"},
    {"refund_requested"},
    {"refunded"},
)
EVENTS = {
    "approved": "Purchase",
    "pending": "AddPaymentInfo",
    "initiate_checkout": "InitiateCheckout",
}


def endings(order: Order) -> list[Ending]:
    """Every ending that the promises allow."""
    found: list[Ending] = []
    for sequence in permutations([fact.what for fact in order.facts]):
        ending = played(order, sequence)
        if ending not in found:
            found.append(ending)
    return found


def played(order: Order, sequence: Sequence[str]) -> Ending:
    """The ending of one sequence."""
    ending: Ending = {}
    state: str | None = None
    silent = True  # no visit has said yet what the visitor wants
    for what in sequence:
        if what in VISITS:
            silent = False
            ending[what] = "policy" if what == "click" else _sent_or_not(_consents(order, silent))
        elif order.is_test:
            ending[what] = "test"
        elif (
            state is not None
            and _rank(what) < _rank(state)
            and (what, state) != ("approved", "completed")
        ):
            ending[what] = "out_of_order"
        else:
            state = what if state is None or _rank(what) >= _rank(state) else state
            ending[what] = _sent_or_not(_consents(order, silent)) if what in EVENTS else "policy"
    return ending


def _consents(order: Order, silent: bool) -> bool:
    """A no that came after the sale is too late where silence means yes.

    A yes that comes late still counts.
    """
    if order.shop.silence_is_consent:
        return order.consent != "no" or silent
    return order.consent == "yes"


def _sent_or_not(consents: bool) -> str:
    return SENT if consents else "no_consent"


def _rank(status: str) -> int:
    return next(rank for rank, states in enumerate(RANKS) if status in states)


def at_meta(order: Order, what: str) -> tuple[str, str]:
    """Name and id under which Meta gets a fact: the checkout's own id, a sale's by the published
    formula.
    """
    name = EVENTS[what]
    if what == "initiate_checkout":
        return name, checkout_of(order.number)
    text = f"{order.shop.slug}|{order.number}|{name}|{order.value}|BRL"
    return name, hashlib.sha256(text.encode()).hexdigest()
