"""Facts reach statuses at a bounded rate: nothing twice, nothing urgent late, nothing held back for
ever.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sinal_crds.tenant_status import ObservedDestination, ObservedTenant
from sinal_operator.cluster.status_throttle import BURST, MOST_PER_S, OBJECTS, StatusThrottle

INTERVAL_S = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def facts(events: int = 0, *, trouble: bool = False) -> ObservedTenant:
    pixel = ObservedDestination(trouble="token", code=190) if trouble else ObservedDestination()
    return ObservedTenant(events_24h=events, destinations={"pixel": pixel})


def pace() -> tuple[StatusThrottle, Clock]:
    clock = Clock()
    return StatusThrottle(INTERVAL_S, clock=clock), clock


def test_what_is_new_is_shown_at_once_and_what_changes_waits_for_its_turn() -> None:
    found, clock = pace()
    found.take({"loja": facts(1)})
    assert found.release() == {"loja"}
    clock.now = 10
    found.take({"loja": facts(2)})
    assert found.release() == frozenset()
    assert found.due_in_s == 20
    clock.now = 30
    assert found.release() == {"loja"}
    assert found.shown["loja"].events_24h == 2
    assert found.due_in_s is None


def test_a_trouble_that_comes_or_goes_is_shown_at_once() -> None:
    found, clock = pace()
    found.take({"loja": facts(1)})
    found.release()
    for trouble in (True, False):
        clock.now += 1
        found.take({"loja": facts(1, trouble=trouble)})
        assert found.due_in_s == 0
        assert found.release() == {"loja"}


def test_a_tenant_that_is_gone_is_shown_no_more() -> None:
    found, _ = pace()
    found.take({"loja": facts(1)})
    found.release()
    found.take({})
    assert found.release() == {"loja"}
    assert found.shown == {}


def test_a_thousand_tenants_come_little_by_little_and_all_in_the_end() -> None:
    found, clock = pace()
    found.take({f"t{n}": facts(1) for n in range(1_000)})
    assert len(found.release()) == BURST
    for _ in range(1_000):
        due_in_s = found.due_in_s
        if due_in_s is None:
            break
        assert due_in_s > 0
        clock.now += due_in_s
        found.release()
    assert len(found.shown) == 1_000
    assert clock.now >= (1_000 - BURST) * OBJECTS / MOST_PER_S - 1


# 64ths of a second: sums of other fractions are rounded, and an interval may seem a hair too short
waits = st.integers(0, 20 * 64).map(lambda ticks: ticks / 64)
steps = st.lists(
    st.tuples(waits, st.sampled_from(["a", "b", "c"]), st.integers(0, 3), st.booleans()),
    max_size=60,
)


@given(steps)
def test_whatever_comes_nothing_flaps_and_nothing_is_shown_twice(
    found: list[tuple[float, str, int, bool]],
) -> None:
    paced, clock = pace()
    latest: dict[str, ObservedTenant] = {}
    shows: dict[str, list[tuple[float, ObservedTenant]]] = defaultdict(list)
    for wait_s, slug, events, trouble in found:
        clock.now += wait_s
        latest = {**latest, slug: facts(events, trouble=trouble)}
        paced.take(latest)
        for shown in paced.release():
            shows[shown].append((clock.now, paced.shown[shown]))
    for one in shows.values():
        for (at, before), (later, after) in pairwise(one):
            assert after != before, "the same twice"
            assert later - at >= INTERVAL_S or after.urgent != before.urgent
    clock.now += INTERVAL_S
    paced.release()
    assert paced.shown == latest
    assert paced.release() == frozenset()
