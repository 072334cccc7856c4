"""Work that is done again and again: by each process for itself, or by one replica at a time.

A lease, where there are any, says who does a task and when it is due; it is prolonged while the
work goes on, and work whose lease was lost is stopped. Tasks are idempotent all the same: a lease
is for economy, not for correctness. A task that fails is reported and done again; it ends nothing
and holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import structlog

from sinal_core.aio.duty_cycle import SHARE, pause_s

log = structlog.get_logger(__name__)

LEASE_S = 60.0
POLL_S = 5.0  # how often a process asks which tasks are due, at least
SOON_S = 0.05  # and at most

T = TypeVar("T")
Work = Callable[[datetime | None], Awaitable[object]]


class LeaseLost(Exception):
    """Another replica has the task now."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A task that is ours now, and when it succeeded last, whoever did it."""

    last_success_at: datetime | None


class Leases(Protocol):
    """Where leases are kept."""

    async def due_in_s(self, names: Sequence[str]) -> dict[str, float]: ...

    async def take(self, name: str, holder: str, *, lease_s: float) -> Lease | None: ...

    async def renew(self, name: str, holder: str, *, lease_s: float) -> bool: ...

    async def finish(self, name: str, holder: str, *, succeeded: bool, due_in_s: float) -> None: ...


@dataclass(frozen=True)
class PeriodicTask:
    """`work` gets the time of the last success.

    With `least_s` it is done more often than `every_s`, as long as it costs little.
    """

    name: str
    every_s: float
    work: Work
    # so soon again while that takes no more than its share of the time
    least_s: float | None = None
    share: float = SHARE

    def due_in_s(self, took_s: float) -> float:
        """Return seconds until the next run, after one that took so long."""
        if self.least_s is None:
            return self.every_s
        return pause_s(took_s, least_s=self.least_s, most_s=self.every_s, share=self.share)


@dataclass(frozen=True, slots=True)
class Run:
    """One run that has ended; without an error it succeeded."""

    task: str
    took_s: float
    error: Exception | None


class Scheduler:
    """Runs tasks when they are due; without `leases` for this process alone.

    `ended` is told of each run. After a failure a task is due in `retry_s`, if that is sooner than
    as always.
    """

    def __init__(
        self,
        tasks: Sequence[PeriodicTask],
        *,
        ended: Callable[[Run], None],
        leases: Leases | None = None,
        holder: str = "",
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        retry_s: float | None = None,
    ) -> None:
        self._ended, self._retry_s = ended, retry_s
        self._leases: Leases = _OwnLeases() if leases is None else leases
        self._holder, self._lease_s = holder, lease_s
        # a task that is due more often than the poll looks would be late each time
        self._poll_s = min([poll_s, *(task.least_s or task.every_s for task in tasks)])
        self._idle = {task.name: task for task in tasks}  # those that this process is not doing now

    async def run(self) -> None:
        """Run what is due, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                wait_s = self._poll_s
                for name, in_s in (await self._due()).items():
                    if in_s > 0:
                        wait_s = min(wait_s, in_s)
                    else:
                        # out of `_idle` until it ends: a run that takes longer than its period is
                        # not begun a second time beside itself
                        group.create_task(self._do(self._idle.pop(name)))
                await asyncio.sleep(max(SOON_S, wait_s))

    async def once(self, task: PeriodicTask) -> bool:
        """Do a task if it is due and nobody else has it; False when it was not, or failed.

        Raises what leases raise.
        """
        taken = await self._leases.take(task.name, self._holder, lease_s=self._lease_s)
        if taken is None:
            return False
        clock = asyncio.get_running_loop().time
        started = clock()
        error: Exception | None = None
        try:
            await self._held(task, taken)
        except asyncio.CancelledError:
            # the lease is given back at once: without that, nobody works until it has run out
            await asyncio.shield(
                self._leases.finish(task.name, self._holder, succeeded=False, due_in_s=0)
            )
            raise
        except Exception as caught:
            error = caught
        run = Run(task.name, clock() - started, error)
        self._ended(run)
        due_in_s = self._due_in_s(task, run)
        await self._leases.finish(
            task.name, self._holder, succeeded=error is None, due_in_s=due_in_s
        )
        return error is None

    def _due_in_s(self, task: PeriodicTask, run: Run) -> float:
        if run.error is None or self._retry_s is None:
            return task.due_in_s(run.took_s)
        return min(task.every_s, self._retry_s)

    async def _held(self, task: PeriodicTask, taken: Lease) -> None:
        """Work while the lease holds; raises LeaseLost, and what the work raises."""

        async def work() -> None:
            await task.work(taken.last_success_at)

        running = asyncio.create_task(work())
        try:
            # a third, so that one renewal may fail or be late before another replica may begin
            while not (await asyncio.wait({running}, timeout=self._lease_s / 3))[0]:
                if not await self._leases.renew(task.name, self._holder, lease_s=self._lease_s):
                    raise LeaseLost
            running.result()
        finally:
            # waited for as well: nothing of the work goes on once its run is reported
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _due(self) -> dict[str, float]:
        return await self._quietly(self._leases.due_in_s(list(self._idle)), "leases") or {}

    async def _do(self, task: PeriodicTask) -> None:
        try:
            await self._quietly(self.once(task), task.name)
        finally:
            self._idle[task.name] = task

    @staticmethod
    async def _quietly(work: Awaitable[T], name: str) -> T | None:
        """Return what it gives.

        The leases may be away for a while: then nothing, and the loop goes on.
        """
        try:
            return await work
        except Exception as error:
            log.warning("chore.unavailable", chore=name, error=type(error).__name__)
            return None


class _OwnLeases:
    """Leases of a process that shares its tasks with nobody: they say only when each is due."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}  # of the loop's clock
        self._succeeded: dict[str, datetime] = {}

    async def due_in_s(self, names: Sequence[str]) -> dict[str, float]:
        now = asyncio.get_running_loop().time()
        return {name: self._due.get(name, now) - now for name in names}

    async def take(self, name: str, holder: str, *, lease_s: float) -> Lease:
        return Lease(self._succeeded.get(name))

    async def renew(self, name: str, holder: str, *, lease_s: float) -> bool:
        return True

    async def finish(self, name: str, holder: str, *, succeeded: bool, due_in_s: float) -> None:
        self._due[name] = asyncio.get_running_loop().time() + due_in_s
        if succeeded:
            self._succeeded[name] = datetime.now(UTC)
