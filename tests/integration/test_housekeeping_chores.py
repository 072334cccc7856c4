"""Several replicas do each chore once, when it is due, and the next one takes over from one that
was lost.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import cast

import pytest

from sinal_core.aio.periodic import PeriodicTask, Scheduler
from sinal_core.postgres.database import Database
from sinal_core.telemetry import metrics
from sinal_hub.housekeeping import runs
from sinal_hub.store.housekeeping import Leases

from tests.support.eventually import eventually


class Work:
    """Counts its runs; `fail` makes them fail, `gate` makes them wait."""

    def __init__(self) -> None:
        self.runs: list[datetime | None] = []
        self.fail = False
        self.gate: asyncio.Event | None = None
        self.cancelled = 0

    async def __call__(self, since: datetime | None) -> None:
        self.runs.append(since)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fail:
            raise RuntimeError("on purpose")


def replica(
    database: Database, holder: str, *chores: PeriodicTask, lease_s: float = 5.0
) -> Scheduler:
    return Scheduler(
        chores, ended=runs.record, leases=Leases(database), holder=holder, lease_s=lease_s
    )


async def come_due(database: Database) -> None:
    """As if the time between two runs had passed."""
    async with database.autocommit() as connection:
        await connection.execute("update leases set due_at = now()")


async def test_of_many_replicas_one_does_it(postgres: str) -> None:
    async with await Database.open(postgres, max_size=6) as database:
        work = Work()
        chore = PeriodicTask("one", 3_600, work)
        done = await asyncio.gather(
            *(replica(database, f"h{n}", chore).once(chore) for n in range(6))
        )
        assert sorted(done) == [False] * 5 + [True]
        assert work.runs == [None]


async def test_it_is_done_again_when_due_and_told_of_the_last_success(postgres: str) -> None:
    async with await Database.open(postgres) as database:
        work = Work()
        chore = PeriodicTask("again", 3_600, work)
        first, second = replica(database, "a", chore), replica(database, "b", chore)
        assert await first.once(chore)
        assert not await second.once(chore)
        await come_due(database)
        assert await second.once(chore)
        assert work.runs[0] is None and work.runs[1] is not None
        runs.show(await Leases(database).last_successes())
        shown = metrics.CHORE_LAST_SUCCESS.labels("again")._value.get()
        assert shown > work.runs[1].timestamp()


async def test_a_failure_is_counted_and_tried_again(postgres: str) -> None:
    async with await Database.open(postgres) as database:
        work = Work()
        work.fail = True
        chore = PeriodicTask("failing", 3_600, work)
        before = metrics.CHORE_FAILURES.labels("failing")._value.get()
        assert not await replica(database, "a", chore).once(chore)
        assert metrics.CHORE_FAILURES.labels("failing")._value.get() == before + 1
        assert "failing" not in await Leases(database).last_successes()
        await come_due(database)
        work.fail = False
        assert await replica(database, "b", chore).once(chore)


async def test_a_replica_does_each_chore_when_it_is_due_and_one_holds_up_no_other(
    postgres: str,
) -> None:
    async with await Database.open(postgres, max_size=4) as database:
        slow, often, seldom = Work(), Work(), Work()
        slow.gate = asyncio.Event()
        chores = [
            PeriodicTask("slow", 3_600, slow),
            PeriodicTask("often", 0.1, often),
            PeriodicTask("seldom", 3_600, seldom),
        ]
        running = asyncio.create_task(replica(database, "a", *chores).run())
        await eventually(lambda: len(often.runs) > 2)
        assert (len(slow.runs), len(seldom.runs)) == (1, 1)
        slow.gate.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_to_ask_what_is_due_writes_nothing(postgres: str) -> None:
    """Named after what idle replicas cost: each asked for each chore by trying to take it, a write
    and its sync.
    """
    async with await Database.open(postgres) as database:
        leases = Leases(database)
        chores = [PeriodicTask(name, 3_600, Work()) for name in ("first", "second")]
        assert await replica(database, "a", *chores).once(chores[0])
        before = await state(database)
        found = await leases.due_in_s(["first", "second"])
        assert await state(database) == before
        assert 3_500 < found["first"] <= 3_600
        assert found["second"] <= 0
        await leases.take("second", "b", lease_s=60)
        # somebody has it, and may lose it
        assert 50 < (await leases.due_in_s(["second"]))["second"] <= 60


async def state(database: Database) -> tuple[object, ...]:
    """Changes with every write to a lease, and every lock of one."""
    async with database.autocommit() as connection:
        found = await connection.execute(
            "select name, xmin::text, xmax::text from leases order by name"
        )
        return tuple(await found.fetchall())


async def until(database: Database, name: str) -> datetime:
    """How long a lease holds as it stands."""
    async with database.autocommit() as connection:
        found = await (
            await connection.execute("select held_until from leases where name = %s", [name])
        ).fetchone()
    assert found is not None
    return cast(datetime, found["held_until"])


async def passed(database: Database, moment: datetime) -> None:
    """Return once the database's clock is beyond it."""
    async with database.autocommit() as connection:
        while not await (
            await connection.execute("select 1 where clock_timestamp() > %s", [moment])
        ).fetchone():
            await asyncio.sleep(0.1)


async def test_a_lease_lasts_as_long_as_the_work(postgres: str) -> None:
    async with await Database.open(postgres) as database:
        work = Work()
        work.gate = asyncio.Event()
        chore = PeriodicTask("long", 3_600, work)
        running = asyncio.create_task(replica(database, "a", chore, lease_s=9).once(chore))
        await eventually(lambda: bool(work.runs))
        await passed(database, await until(database, "long"))
        assert not await replica(database, "b", chore).once(chore)
        work.gate.set()
        assert await running


@pytest.mark.parametrize("how", ["lost", "stopped"])
async def test_work_ends_with_its_lease(postgres: str, how: str) -> None:
    async with await Database.open(postgres) as database:
        work = Work()
        work.gate = asyncio.Event()
        chore = PeriodicTask("ended", 3_600, work)
        running = asyncio.create_task(replica(database, "a", chore, lease_s=3).once(chore))
        while not work.runs:
            await asyncio.sleep(0.01)
        if how == "lost":
            async with database.autocommit() as connection:
                await connection.execute("update leases set holder = 'somebody else'")
            assert not await running
        else:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            work.gate.set()
            # at once: the lease was given back
            assert await replica(database, "b", chore).once(chore)
        assert work.cancelled == 1
