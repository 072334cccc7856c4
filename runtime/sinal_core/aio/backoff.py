"""How long to wait before the next try: twice as long after each failure, up to a cap, and spread
by jitter.

Jitter keeps those that failed together from coming back together. `FULL` spreads best; `EQUAL`
never waits less than half, for what must not be tried again at once. Each place of use keeps its
own times as a constant.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple, Protocol

_MOST_DOUBLINGS = 62  # 2**62 seconds are beyond any cap and still a finite float


class Dice(Protocol):
    """A source of chance: the module `random` is one, and so is a `Random` with a seed."""

    def uniform(self, a: float, b: float) -> float: ...


class Jitter(NamedTuple):
    """The shares of the full wait between which a wait is drawn evenly."""

    least: float
    most: float


NONE = Jitter(1.0, 1.0)
EQUAL = Jitter(0.5, 1.0)
FULL = Jitter(0.0, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """The full wait is `base_s` after the first failure, doubles with each further one and ends at
    `cap_s`.
    """

    base_s: float
    cap_s: float
    jitter: Jitter = FULL

    def full_s(self, failures: int) -> float:
        """The wait without jitter after that many failures in a row.

        Fewer than one count as one.
        """
        doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
        return float(min(self.cap_s, self.base_s * 2**doublings))

    def delay_s(self, failures: int, dice: Dice = random) -> float:
        """A wait drawn for that many failures in a row."""
        full_s, (least, most) = self.full_s(failures), self.jitter
        return dice.uniform(full_s * least, full_s * most)
