"""Chores: something done again and again, by one replica at a time.

A lease in PostgreSQL says who does a chore and when it is due; it is prolonged while the work goes on, and work whose
lease was lost is stopped. Chores are idempotent all the same: a lease is for economy, not for correctness.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import structlog

from sinal_core.aio.duty_cycle import SHARE, pause_s
from sinal_core.nats.errors import where
from sinal_core.telemetry import metrics
from sinal_hub.store.housekeeping import Taken

log = structlog.get_logger(__name__)

LEASE_S = 60.0
POLL_S = 5.0  # how often a replica asks which chores are due, at least
SOON_S = 0.05  # and at most
RETRY_S = 30.0  # after a failure, where the chore itself is not due sooner
OBSERVE_S = 15.0

T = TypeVar("T")
Work = Callable[[datetime | None], Awaitable[object]]


class Leases(Protocol):
    """Where leases are kept; `store.housekeeping.Leases` in production."""

    async def due_in_s(self, names: Sequence[str]) -> dict[str, float]: ...

    async def take(self, name: str, holder: str, *, lease_s: float) -> Taken | None: ...

    async def renew(self, name: str, holder: str, *, lease_s: float) -> bool: ...

    async def finish(self, name: str, holder: str, *, succeeded: bool, due_in_s: float) -> None: ...

    async def last_successes(self) -> dict[str, float]: ...


class LeaseLost(Exception):
    """Another replica has the chore now."""


@dataclass(frozen=True)
class Chore:
    """`work` gets the time of the last success of any replica.

    With `least_s` it is done more often than `every_s`, as long as it costs little.
    """

    name: str
    every_s: float
    work: Work
    least_s: float | None = None  # so soon again while that takes no more than its share of the time
    share: float = SHARE

    def due_in_s(self, took_s: float) -> float:
        """Seconds until the next run, after one that took so long."""
        if self.least_s is None:
            return self.every_s
        return pause_s(took_s, least_s=self.least_s, most_s=self.every_s, share=self.share)


class Keeper:
    """Runs chores when they are due; `holder` names this process."""

    def __init__(
        self,
        leases: Leases,
        chores: Sequence[Chore],
        *,
        holder: str,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        observe: Callable[[Mapping[str, float]], Awaitable[object]] | None = None,
    ) -> None:
        self._leases, self._holder = leases, holder
        self._lease_s, self._observe = lease_s, observe
        self._poll_s = min([poll_s, *(chore.least_s or chore.every_s for chore in chores)])
        self._idle = {chore.name: chore for chore in chores}  # those that this replica is not doing now

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                wait_s = self._poll_s
                for name, in_s in (await self._due()).items():
                    if in_s > 0:
                        wait_s = min(wait_s, in_s)
                    else:
                        group.create_task(self._do(self._idle.pop(name)))
                await asyncio.sleep(max(SOON_S, wait_s))

    async def once(self, chore: Chore) -> bool:
        """Do a chore if it is due and nobody else has it; False when it was not, or failed. Raises StoreUnavailable."""
        taken = await self._leases.take(chore.name, self._holder, lease_s=self._lease_s)
        if taken is None:
            return False
        started = time.monotonic()
        succeeded = False
        try:
            await self._held(chore, taken)
            succeeded = True
        except asyncio.CancelledError:
            await asyncio.shield(self._leases.finish(chore.name, self._holder, succeeded=False, due_in_s=0))
            raise
        except LeaseLost:
            log.warning("chore.lease_lost", chore=chore.name)
        except Exception as error:
            log.error("chore.failed", chore=chore.name, error=type(error).__name__, at=where(error))
        took_s = time.monotonic() - started
        metrics.CHORE_SECONDS.labels(chore.name).observe(took_s)
        if not succeeded:
            metrics.CHORE_FAILURES.labels(chore.name).inc()
        due_in_s = chore.due_in_s(took_s) if succeeded else min(chore.every_s, RETRY_S)
        await self._leases.finish(chore.name, self._holder, succeeded=succeeded, due_in_s=due_in_s)
        return succeeded

    async def observe(self) -> None:
        """Show what any replica has done, and tell who else shows something when each chore succeeded last."""
        successes = await self._leases.last_successes()
        for name, at in successes.items():
            metrics.CHORE_LAST_SUCCESS.labels(name).set(at)
        if self._observe is not None:
            await self._observe(successes)

    async def _held(self, chore: Chore, taken: Taken) -> None:
        async def work() -> None:
            await chore.work(taken.last_success_at)

        task = asyncio.create_task(work())
        try:
            while not (await asyncio.wait({task}, timeout=self._lease_s / 3))[0]:
                if not await self._leases.renew(chore.name, self._holder, lease_s=self._lease_s):
                    raise LeaseLost
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _due(self) -> dict[str, float]:
        return await self._quietly(self._leases.due_in_s(list(self._idle)), "leases") or {}

    async def _do(self, chore: Chore) -> None:
        try:
            await self._quietly(self.once(chore), chore.name)
        finally:
            self._idle[chore.name] = chore

    async def _watch(self) -> None:
        while True:
            await self._quietly(self.observe(), "observe")
            await asyncio.sleep(OBSERVE_S)

    @staticmethod
    async def _quietly(work: Awaitable[T], name: str) -> T | None:
        """What it gives; PostgreSQL may be away for a while: then nothing, and the loop goes on."""
        try:
            return await work
        except Exception as error:
            log.warning("chore.unavailable", chore=name, error=type(error).__name__)
            return None
