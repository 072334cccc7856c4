"""Find the entries that make a destination refuse a request, and deliver all others.

Who takes batches may refuse a whole one for one bad entry and not reliably say which. The refused part is
split and its pieces are sent again until each culprit stands alone. Invariant: an entry is part of
no further request once one with it was delivered, and none is condemned by a request it shared. One
culprit of n costs at most 2·log2(n) + 2 further requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from sinal_core.outbox.answers import Kind, Verdict

T = TypeVar("T")

BLAMES_AN_ENTRY: frozenset[Kind] = frozenset({"data", "request", "unknown"})
FINE: frozenset[Kind] = BLAMES_AN_ENTRY | {"delivered"}


def splits(verdict: Verdict, size: int) -> bool:
    """Whether a part of that size is sent again in pieces."""
    return size > 1 and verdict.kind in BLAMES_AN_ENTRY


def budget_for(size: int) -> int:
    """Most further requests of one round: enough for two culprits.

    What is left waits for the next round.
    """
    return 4 * size.bit_length() + 8


async def isolate(
    items: Sequence[T],
    send: Callable[[Sequence[T]], Awaitable[Verdict]],
    *,
    may_go_on: Callable[[], Awaitable[bool]],
    budget: int | None = None,
) -> list[T]:
    """Send all of `items`; returns those that were left over because sending stopped making sense.

    `send` sends one part and settles it unless `splits` holds; `may_go_on` is asked before each
    further part.
    """
    left = budget_for(len(items)) if budget is None else budget
    verdict = await send(items)
    failing = [(items, verdict)] if splits(verdict, len(items)) else []
    spare: list[T] = []
    stopped = False
    while failing:
        part, verdict = failing.pop()
        pieces = _pieces(part, verdict)
        good = False
        for piece in pieces:
            stopped = stopped or left <= 0 or not await may_go_on()
            if stopped:
                spare.extend(piece)
                continue
            # the other piece passed: the culprit is in this one
            # (not so for `request`: that may have been its size, and then both pieces pass)
            if good and verdict.kind == "data" and len(piece) > 1:
                # without its blame, whose places are those of the larger part
                failing.append((piece, msgspec.structs.replace(verdict, blame=())))
                continue
            left -= 1
            answer = await send(piece)
            good = answer.kind == "delivered"
            # the destination itself fails: what is left would meet the same, and learn nothing of
            # its entries
            stopped = answer.kind not in FINE
            if splits(answer, len(piece)):
                failing.append((piece, answer))
    return spare


def _pieces(part: Sequence[T], verdict: Verdict) -> tuple[Sequence[T], Sequence[T]]:
    """Those that the answer did not name and those it did; halves where it named none or all."""
    named = {index for index in verdict.blame if index < len(part)}
    if 0 < len(named) < len(part):
        rest = [item for index, item in enumerate(part) if index not in named]
        return rest, [part[index] for index in sorted(named)]
    middle = len(part) // 2
    return part[:middle], part[middle:]
