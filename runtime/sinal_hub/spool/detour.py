"""The way round a broker that is away: what the edge asks of the spool, in one object.

An event takes the detour while the circuit is open or while older events of its tenant are on it,
so that nothing overtakes. A tenant whose queue at the broker is full is refused as on the direct
way, or it would fill the disk for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from sinal_core.aio.clock import WallClock
from sinal_core.nats.errors import LaneFull
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where
from sinal_hub.spool.circuit import Circuit
from sinal_hub.spool.disk import Keep
from sinal_hub.spool.errors import SpoolError
from sinal_hub.spool.record import Owner, SpoolEntry
from sinal_hub.spool.replay import Publish, SpoolReplayer
from sinal_hub.spool.spool import Spool, SpoolLimits

log = structlog.get_logger(__name__)

TEND_S = 1.0
HAND_OVER, HAND_OVER_S = 512, 0.5  # so few records are waited for, and so long
DISTRUST_S = 5.0  # after a refusal by the disk


class SpoolState(msgspec.Struct, frozen=True):
    """What probes and people are told."""

    spooling: bool  # events go to the disk, or wait there
    accepts: bool  # an event would be taken, by the broker or by the disk
    records: int
    bytes: int
    oldest_s: float  # age of the oldest, 0 when there is none


class Detour:
    """The spool with what fills and empties it."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: SpoolLimits,
        connected: Callable[[], bool],
        publish: Publish,
        request_provision: Callable[[str], None],
        tenant_of: Callable[[str], Owner | None],
        clock: WallClock = time,
    ) -> None:
        self._clock, self._tenant_of = clock, tenant_of
        metrics.SPOOL_LIMIT_BYTES.set(limits.max_bytes)
        self._circuit = Circuit(connected)
        self._spool = Spool(folder, limits=limits, on_stored=self._stored)
        self._replayer = SpoolReplayer(
            spool=self._spool,
            circuit=self._circuit,
            publish=publish,
            request_provision=request_provision,
            tenant_of=tenant_of,
            clock=clock,
        )
        self._refused_at: float | None = None
        self._told_damage = 0
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the folder and bring on its way what an earlier process left.

        Raises SpoolLocked, SpoolBroken.
        """
        await self._spool.open()
        self.observe()
        for tenant in self._spool.tenants():
            self._replayer.wake(tenant)
        self._tending = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        """Stop; what waits stays on the disk."""
        if self._tending is not None:
            self._tending.cancel()
        await self._replayer.stop()
        await self._spool.close()

    def is_due(self, tenant: str) -> bool:
        """Whether an event of this tenant has to take the detour."""
        return self._circuit.is_open or self._spool.waiting(tenant) > 0

    async def clears(self, tenant: str) -> bool:
        """Whether the direct way is free now, or becomes so in a moment: waits where the last few
        are on their way.

        Without this pause a busy tenant would stay on the detour for ever: each event would find
        one before it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + HAND_OVER_S
        while self.is_due(tenant):
            if (
                self._circuit.is_open
                or self._spool.waiting(tenant) > HAND_OVER
                or loop.time() >= deadline
            ):
                return False
            if not await self._replayer.idle(tenant, timeout_s=deadline - loop.time()):
                return False
        return True

    async def take(self, entries: Sequence[SpoolEntry]) -> None:
        """Store events of one tenant on the disk, all or none.

        Raises SpoolFull, SpoolBroken, LaneFull.
        """
        if self._replayer.is_full(entries[0].tenant):
            raise LaneFull(
                "the tenant's queue at the broker is full and its spooled events wait for it"
            )
        # The slug may be another Tenant's when the broker is back: the record says whose it was
        # when it came.
        owner = self._tenant_of(entries[0].tenant)
        if owner is not None:
            entries = [
                msgspec.structs.replace(entry, owner=owner.uid, home=owner.home)
                for entry in entries
            ]
        try:
            await self._spool.append(entries)
        except SpoolError:
            self._refused_at = self._clock.time()
            raise
        self._refused_at = None
        metrics.SPOOL_RECORDS.labels("spooled").inc(len(entries))

    def failed(self) -> None:
        """A publish on the direct way found no broker, or no answer in time."""
        self._circuit.failed()

    def succeeded(self) -> None:
        """The broker answered on the direct way."""
        self._circuit.succeeded()

    async def erase(self, keep: Keep) -> int:
        """Remove from the disk what `keep` does not want (see `erasure`).

        Returns how many events waited.
        """
        gone = await self._spool.erase(keep)
        metrics.SPOOL_RECORDS.labels("erased").inc(gone)
        self.observe()
        return gone

    @property
    def state(self) -> SpoolState:
        """How it stands."""
        now = self._clock.time()
        oldest = self._spool.oldest_s
        return SpoolState(
            spooling=self._circuit.is_open or self._spool.records > 0,
            accepts=not self._circuit.is_open
            or self._refused_at is None
            or now - self._refused_at > DISTRUST_S,
            records=self._spool.records,
            bytes=self._spool.bytes,
            oldest_s=0.0 if oldest is None else max(0.0, now - oldest),
        )

    def observe(self) -> None:
        """Bring the metrics up to date."""
        state = self.state
        metrics.SPOOL_EVENTS.set(state.records)
        metrics.SPOOL_BYTES.set(state.bytes)
        metrics.SPOOL_OLDEST_SECONDS.set(state.oldest_s)
        metrics.SPOOL_RECORDS.labels("damaged").inc(self._spool.damaged - self._told_damage)
        self._told_damage = self._spool.damaged

    def _stored(self, tenant: str) -> None:
        self._replayer.wake(tenant)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_S)
            self.observe()
            try:
                await self._spool.compact()
            except Exception as error:  # the next round tries again
                log.error("spool.compact_failed", error=type(error).__name__, at=where(error))
