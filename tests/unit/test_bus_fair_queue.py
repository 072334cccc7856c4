"""Turns are fair: backlogs share evenly, a quiet lane goes before them, nobody waits for ever."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sinal_core.nats.fair_queue import FairQueue

BATCH = 50


def serve(queue: FairQueue[str], backlog: dict[str, int]) -> tuple[str, int]:
    """One turn as a worker gives it: at most a batch, and the lane is offered again if it has
    more.
    """
    key = queue.take()
    assert key is not None
    size = min(BATCH, backlog[key])
    queue.charge(key, size)
    backlog[key] -= size
    if backlog[key]:
        queue.offer(key)
    return key, size


def test_an_empty_queue_has_no_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    assert queue.take() is None
    queue.offer("a")
    queue.offer("a")
    assert (queue.take(), queue.take()) == ("a", None)


@given(st.lists(st.integers(1, BATCH * 20), min_size=2, max_size=12))
def test_lanes_with_a_backlog_never_differ_by_more_than_a_batch(sizes: list[int]) -> None:
    queue: FairQueue[str] = FairQueue()
    backlog = {str(n): size for n, size in enumerate(sizes)}
    served: Counter[str] = Counter(dict.fromkeys(backlog, 0))
    for key in backlog:
        queue.offer(key)
    while all(backlog.values()):
        key, size = serve(queue, backlog)
        served[key] += size
        assert max(served.values()) - min(served.values()) <= BATCH


@given(st.integers(1, 40), st.integers(0, 200))
def test_an_event_of_a_quiet_lane_goes_before_every_backlog(busy: int, turns: int) -> None:
    queue: FairQueue[str] = FairQueue()
    backlog = {f"busy-{n}": 10**9 for n in range(busy)}
    for key in backlog:
        queue.offer(key)
    for _ in range(turns):
        serve(queue, backlog)
    backlog["quiet"] = 1
    queue.offer("quiet")
    # those whose turn starts at the same moment may go first: at most one turn each
    before = 0
    while serve(queue, backlog)[0] != "quiet":
        before += 1
    assert before <= busy
    if turns > busy and turns % busy:
        assert before < busy


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_everything_offered_is_served(sizes: list[int]) -> None:
    queue: FairQueue[str] = FairQueue()
    backlog = {str(n): size for n, size in enumerate(sizes)}
    for key in backlog:
        queue.offer(key)
    while len(queue):
        serve(queue, backlog)
    assert not any(backlog.values())


def test_being_idle_earns_no_credit_for_later() -> None:
    queue: FairQueue[str] = FairQueue()
    backlog = {"always": 10**9, "back": BATCH * 100}
    queue.offer("always")
    for _ in range(1_000):
        serve(queue, backlog)
    queue.offer("back")
    turns = [serve(queue, backlog)[0] for _ in range(20)]
    assert turns.count("back") <= 11


def test_a_lane_that_is_gone_has_no_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.offer("gone")
    queue.offer("here")
    queue.forget("gone")
    assert (queue.take(), queue.take()) == ("here", None)
    queue.offer("gone")  # it may come back
    assert queue.take() == "gone"
