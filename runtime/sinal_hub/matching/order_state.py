"""What an order has come to: its state moves by rank, never back, whatever sequence the gateway's
deliveries arrive in.

The state is the greatest of all events under one total order (rank, then time, then word), so the
final state is the same for every permutation. Statuses without a rank (subscription notices) never
move it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sinal_hub.model.sale import RANK

Move = Literal["moved", "kept", "out_of_order"]

_GIVEN_BACK = ("refunded", "chargeback")
RESTORED = "chargeback_won"  # the money is the seller's again
# States that only an approved sale can reach, with the money still the seller's: an approval that
# they overtook is still a sale to tell of. The claim on the order's Purchase sees to it that it is
# told once.
_STILL_SOLD = ("completed", RESTORED)


class OrderState(msgspec.Struct, frozen=True):
    """Where an order stands; `at` is Unix ms of the event that brought it there."""

    status: str | None = None
    at: int = 0

    @property
    def rank(self) -> int:
        """Rank of the state, 0 before any event."""
        return RANK.get(self.status or "", 0)

    @property
    def given_back(self) -> bool:
        """Whether the buyer has the money again: nothing of such an order is sent any more."""
        return self.status in _GIVEN_BACK

    @property
    def effective(self) -> str | None:
        """The state for reports: a chargeback that was won is an approved sale."""
        return "approved" if self.status == RESTORED else self.status


def advance(state: OrderState, status: str, at: int) -> tuple[OrderState, Move]:
    """The state after one more event, and whether the event moved it, left it, or came after a
    later one.
    """
    rank = RANK.get(status)
    if rank is None:
        return state, "kept"
    if rank < state.rank:
        return (
            state,
            "kept" if status == "approved" and state.status in _STILL_SOLD else "out_of_order",
        )
    if (rank, at, status) > (state.rank, state.at, state.status or ""):
        return OrderState(status, at), "moved"
    return state, "kept"
