"""A schedule: a load and what goes wrong during it, all of it from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.support.chaos import faults, stories
from tests.support.chaos.faults import Drawing, Fault
from tests.support.chaos.stories import Fact, Order

FACTS = (300, 700)
OVER_S = (3.0, 6.0)


@dataclass(frozen=True)
class Schedule:
    """What happens in one run."""

    seed: int
    orders: tuple[Order, ...]
    faults: tuple[Fault, ...]
    over_s: float

    @property
    def facts(self) -> list[Fact]:
        """Every fact of every order."""
        return stories.facts_of(self.orders)

    @property
    def hides_answers(self) -> bool:
        """Whether Meta is told to take events and to leave us without its answer: repeats are what
        that asks for.
        """
        return any(fault.script and fault.script["kind"] in faults.HIDING for fault in self.faults)

    def __str__(self) -> str:
        told = [
            f"seed {self.seed}: {len(self.facts)} facts of {len(self.orders)} orders over "
            f"{self.over_s:.1f} s"
        ]
        return "\n".join([*told, *(f"  {fault}" for fault in self.faults)])


def schedule(seed: int) -> Schedule:
    """The schedule of a seed; the same seed gives the same one."""
    rng = Random(seed)
    over_s = rng.uniform(*OVER_S)
    orders = stories.orders(rng, seed, facts=rng.randint(*FACTS), over_s=over_s)
    return Schedule(
        seed, tuple(orders), tuple(faults.draw(Drawing(rng, orders, over_s), seed)), over_s
    )
