"""Periodic tasks: each in its rhythm, alone or under a lease.

A failure is told, and ends and holds up nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from sinal_core.aio.periodic import Lease, LeaseLost, PeriodicTask, Run, Scheduler

from tests.support import virtual_time


class Work:
    """Notes when it runs; takes `took_s` and fails as long as it is told to."""

    def __init__(self, *, took_s: float = 0.0, failures: int = 0) -> None:
        self.took_s, self.failures = took_s, failures
        self.at: list[float] = []
        self.since: list[datetime | None] = []
        self.cancelled = False

    async def __call__(self, since: datetime | None) -> None:
        self.at.append(asyncio.get_running_loop().time())
        self.since.append(since)
        try:
            await asyncio.sleep(self.took_s)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.failures:
            self.failures -= 1
            raise RuntimeError("on purpose")


async def ran_for(seconds: float, scheduler: Scheduler) -> None:
    running = asyncio.create_task(scheduler.run())
    await asyncio.sleep(seconds)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_each_task_keeps_its_rhythm_and_a_slow_one_holds_up_none() -> None:
    often, slow, seldom = Work(), Work(took_s=50.0), Work()
    tasks = [
        PeriodicTask("often", 1.0, often),
        PeriodicTask("slow", 1.0, slow),
        PeriodicTask("seldom", 100.0, seldom),
    ]
    virtual_time.run(ran_for(30.5, Scheduler(tasks, ended=lambda run: None)))
    assert (len(slow.at), len(seldom.at)) == (1, 1)
    assert slow.cancelled
    gaps = [later - earlier for earlier, later in zip(often.at, often.at[1:], strict=False)]
    assert len(often.at) >= 28 and all(1.0 <= gap < 1.1 for gap in gaps)


def test_a_failure_is_told_and_the_task_is_done_again() -> None:
    work, runs = Work(failures=2), list[Run]()
    virtual_time.run(ran_for(8.5, Scheduler([PeriodicTask("frail", 2.0, work)], ended=runs.append)))
    assert [type(run.error) for run in runs[:3]] == [RuntimeError, RuntimeError, type(None)]
    # then it has succeeded once
    assert [since is None for since in work.since[:4]] == [True, True, True, False]


def test_after_a_failure_it_may_be_due_sooner() -> None:
    work = Work(failures=1)
    scheduler = Scheduler(
        [PeriodicTask("frail", 1_000.0, work)], ended=lambda run: None, retry_s=30.0
    )
    virtual_time.run(ran_for(500.0, scheduler))
    assert len(work.at) == 2
    assert 30.0 <= work.at[1] - work.at[0] < 36.0


class Lent:
    """Leases of which the first is lost at once, and that can't be read every other time."""

    def __init__(self) -> None:
        self.asked = self.taken = 0
        self.finished: list[tuple[bool, float]] = []

    async def due_in_s(self, names: Sequence[str]) -> dict[str, float]:
        self.asked += 1
        if self.asked % 2 == 0:
            raise ConnectionError("away")
        return dict.fromkeys(names, 0.0)

    async def take(self, name: str, holder: str, *, lease_s: float) -> Lease | None:
        self.taken += 1
        return Lease(None)

    async def renew(self, name: str, holder: str, *, lease_s: float) -> bool:
        return self.taken > 1

    async def finish(self, name: str, holder: str, *, succeeded: bool, due_in_s: float) -> None:
        self.finished.append((succeeded, due_in_s))


def test_work_ends_with_its_lease_and_is_taken_again() -> None:
    work, leases, runs = Work(took_s=30.0), Lent(), list[Run]()
    task = PeriodicTask("long", 60.0, work)
    virtual_time.run(
        ran_for(80.0, Scheduler([task], ended=runs.append, leases=leases, holder="a", retry_s=10.0))
    )
    assert [type(run.error) for run in runs] == [LeaseLost, type(None)]
    assert work.cancelled
    assert leases.finished[:2] == [(False, 10.0), (True, 60.0)]


def test_a_process_that_stops_gives_its_lease_back_at_once() -> None:
    leases, runs = Lent(), list[Run]()
    leases.taken = 1
    scheduler = Scheduler(
        [PeriodicTask("long", 60.0, Work(took_s=1_000.0))], ended=runs.append, leases=leases
    )
    virtual_time.run(ran_for(50.0, scheduler))
    assert (leases.finished, runs) == ([(False, 0)], [])
