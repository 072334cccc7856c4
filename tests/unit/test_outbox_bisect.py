"""Bisection: whoever is good is delivered exactly once, only culprits are refused, and it costs few
requests.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.outbox.answers import Kind, Verdict
from sinal_core.outbox.bisect import isolate, splits


class Meta:
    """Refuses a request that holds a culprit; `blames` says whom it names, which may be a lie."""

    def __init__(
        self, culprits: set[int], *, kind: Kind = "data", lies: Sequence[int] | None = None
    ) -> None:
        self.culprits, self.kind, self.lies = culprits, kind, lies
        self.requests = 0
        self.delivered: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()

    async def send(self, part: Sequence[int]) -> Verdict:
        self.requests += 1
        if not self.culprits & set(part):
            self.delivered.update(part)
            return Verdict(kind="delivered")
        verdict = Verdict(kind=self.kind, blame=tuple(self.lies or ()))
        if not splits(verdict, len(part)):
            self.refused.update(part)
        return verdict


async def always() -> bool:
    return True


@given(st.data())
async def test_everyone_good_is_delivered_once_and_only_culprits_are_refused(
    data: st.DataObject,
) -> None:
    size = data.draw(st.integers(1, 120))
    culprits = data.draw(st.sets(st.integers(0, size - 1)))
    lies = data.draw(st.none() | st.lists(st.integers(0, 1000), max_size=5))
    kind: Kind = data.draw(st.sampled_from(("data", "request", "unknown")))
    meta = Meta(culprits, kind=kind, lies=lies)
    spare = await isolate(range(size), meta.send, may_go_on=always, budget=10_000)
    assert spare == []
    assert meta.delivered == Counter(set(range(size)) - culprits)
    assert meta.refused == Counter(culprits)


@given(st.integers(2, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
async def test_one_culprit_costs_logarithmic_many_requests(case: tuple[int, int]) -> None:
    size, culprit = case
    meta = Meta({culprit})
    assert await isolate(range(size), meta.send, may_go_on=always) == []
    assert meta.requests - 1 <= 2 * math.ceil(math.log2(size)) + 2
    assert set(meta.refused) == {culprit}


async def test_a_named_culprit_costs_two_further_requests() -> None:
    meta = Meta({700}, lies=[700])
    await isolate(range(1000), meta.send, may_go_on=always)
    assert meta.requests == 3
    assert sum(meta.delivered.values()) == 999


@given(st.integers(2, 300), st.integers(0, 40))
async def test_a_spent_budget_leaves_the_rest_for_later_and_loses_nobody(
    size: int, budget: int
) -> None:
    meta = Meta(set(range(size)))
    spare = await isolate(range(size), meta.send, may_go_on=always, budget=budget)
    assert meta.requests <= budget + 1
    assert sorted([*spare, *meta.refused]) == list(range(size))


@pytest.mark.parametrize("kind", ["retry", "throttle", "credential", "configuration", "in_doubt"])
async def test_a_failing_destination_ends_the_search(kind: Kind) -> None:
    sent: list[list[int]] = []

    async def send(part: Sequence[int]) -> Verdict:
        sent.append(list(part))
        return Verdict(kind="data" if len(sent) == 1 else kind)

    spare = await isolate(range(8), send, may_go_on=always)
    assert sent == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3]]
    assert spare == [4, 5, 6, 7]


async def test_a_destination_that_must_not_be_asked_now_is_not_asked() -> None:
    meta = Meta({1})

    async def never() -> bool:
        return False

    assert sorted(await isolate(range(4), meta.send, may_go_on=never)) == [0, 1, 2, 3]
    assert meta.requests == 1
