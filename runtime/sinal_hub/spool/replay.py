"""Brings spooled records to the broker, in each tenant's order and as fast as the broker takes
them.

One task a tenant that has records: a full queue, a missing stream or a slow one holds up nobody
else. It publishes a window at a time, starting with one record and doubling with every success, so
that where the broker refuses, little that is newer passes what was refused. What the broker had
already (an ack that was lost) it tells by the message id. A tenant whose plan is gone loses its
records after `ORPHAN_S`: nobody can be meant to get them. Where its slug is another Tenant's by
then, it loses them at once: what was taken for the one is never given to the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from sinal_core.aio.backoff import EQUAL, Backoff
from sinal_core.aio.clock import WallClock
from sinal_core.nats.errors import BusError, BusUnavailable, LaneFull, LaneMissing
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where
from sinal_hub.spool.circuit import Circuit
from sinal_hub.spool.record import Owner, SpoolEntry
from sinal_hub.spool.spool import Spool

log = structlog.get_logger(__name__)

WINDOW = 256
SLOTS = 8  # tenants whose windows are under way at the same time
TIMEOUT_S = 5.0
REST = Backoff(base_s=0.1, cap_s=5.0, jitter=EQUAL)
ORPHAN_S = 86_400
_WRITE_S = 0.005  # of the order of a sync


class Published(Protocol):
    """The broker's ack."""

    @property
    def duplicate(self) -> bool: ...


class Publish(Protocol):
    """Stores one record at the broker; raises a BusError."""

    async def __call__(self, entry: SpoolEntry, /, *, timeout_s: float) -> Published: ...


class SpoolReplayer:
    """Empties the spool."""

    def __init__(
        self,
        *,
        spool: Spool,
        circuit: Circuit,
        publish: Publish,
        request_provision: Callable[[str], None],
        tenant_of: Callable[[str], Owner | None],
        clock: WallClock,
    ) -> None:
        self._spool, self._circuit, self._publish = spool, circuit, publish
        self._request_provision, self._tenant_of, self._clock = request_provision, tenant_of, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(SLOTS)
        self._trouble: dict[str, str] = {}  # tenant -> type of its last error
        self._flowing: set[str] = set()  # tenants whose last window went through whole
        self._stopped = False

    def wake(self, tenant: str) -> None:
        """There are records of this tenant."""
        if tenant not in self._tasks and not self._stopped:
            self._tasks[tenant] = asyncio.create_task(self._work(tenant))

    def is_full(self, tenant: str) -> bool:
        """Whether the tenant's queue at the broker refused for want of room, last time."""
        return self._trouble.get(tenant) == LaneFull.__name__

    async def idle(self, tenant: str, *, timeout_s: float) -> bool:
        """Wait until nothing of the tenant is on its way.

        False after the time, or at once where nothing flows.
        """
        if (task := self._tasks.get(tenant)) is None:  # its records are still being written
            await asyncio.sleep(_WRITE_S)
            return True
        if tenant not in self._flowing:
            return False
        await asyncio.wait({task}, timeout=timeout_s)
        return task.done()

    async def stop(self) -> None:
        """Publish nothing more; what is under way is given up, not lost."""
        self._stopped = True
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, tenant: str) -> None:
        try:
            while self._spool.stored(tenant):
                try:
                    await self._drain(tenant)
                except Exception as error:  # a fault here must not strand the tenant
                    log.error(
                        "spool.replay_fault",
                        tenant=tenant,
                        error=type(error).__name__,
                        at=where(error),
                    )
                    await asyncio.sleep(REST.cap_s)
        finally:
            # Nothing waits between the last look and this, so what is stored from now on finds no
            # task and wakes one.
            del self._tasks[tenant]
            self._trouble.pop(tenant, None)
            self._flowing.discard(tenant)

    async def _drain(self, tenant: str) -> None:
        window, failures, began, sent = 1, 0, self._clock.time(), 0
        while self._spool.stored(tenant):
            async with self._circuit.passage(), self._slots:
                offered = await self._spool.offer(tenant, window, self._send)
            sent += offered.taken
            if offered.taken == offered.shown:
                window, failures = min(2 * window, WINDOW), 0
                self._trouble.pop(tenant, None)
                self._flowing.add(tenant)
            else:
                window, failures = 1, failures + 1
                self._flowing.discard(tenant)
                await asyncio.sleep(REST.delay_s(failures))
        log.info(
            "spool.replayed",
            tenant=tenant,
            records=sent,
            seconds=round(self._clock.time() - began, 1),
        )

    async def _send(self, entries: Sequence[SpoolEntry]) -> list[bool]:
        return list(await asyncio.gather(*map(self._one, entries)))

    async def _one(self, entry: SpoolEntry) -> bool:
        owner = self._tenant_of(entry.tenant)
        if owner is not None and not owner.has(entry):
            return self._given_up(entry, "its slug is another Tenant's")
        try:
            ack = await self._publish(entry, timeout_s=TIMEOUT_S)
        except BusError as error:
            return self._refused(entry, error)
        self._circuit.succeeded()
        metrics.SPOOL_RECORDS.labels("duplicate" if ack.duplicate else "replayed").inc()
        return True

    def _refused(self, entry: SpoolEntry, error: BusError) -> bool:
        """Whether the record is given up."""
        kind = type(error).__name__
        if isinstance(error, BusUnavailable):
            self._circuit.failed()
        else:
            self._circuit.succeeded()  # a refusal is an answer
        if isinstance(error, LaneMissing):
            if (
                self._tenant_of(entry.tenant) is None
                and self._clock.time() - entry.at_ms / 1000 > ORPHAN_S
            ):
                return self._given_up(entry, "its tenant is gone for a day")
            self._request_provision(entry.tenant)
        if self._trouble.get(entry.tenant) != kind:
            self._trouble[entry.tenant] = kind
            log.warning("spool.waits", tenant=entry.tenant, error=kind)
        return False

    @staticmethod
    def _given_up(entry: SpoolEntry, why: str) -> bool:
        log.error("spool.orphaned", tenant=entry.tenant, why=why)
        metrics.SPOOL_RECORDS.labels("orphaned").inc()
        return True
