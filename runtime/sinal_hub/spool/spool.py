"""The spool: many requests share one sync, and a tenant's records leave in the order they came.

`append` returns when the records are on the disk. While one sync runs, what arrives is gathered for
the next, so the disk's latency is paid once for all of them. `offer` hands a tenant's oldest
records out and forgets those that were taken. Room is shared: a tenant may hold at most
`TENANT_SHARE` times what is still free, so that one that floods leaves space for the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import structlog

from sinal_hub.spool.backlog import Backlog, RecordPlace
from sinal_hub.spool.disk import Disk, Keep
from sinal_hub.spool.errors import SpoolBroken, SpoolError, SpoolFull
from sinal_hub.spool.record import SpoolEntry, pack

log = structlog.get_logger(__name__)

TENANT_SHARE = 4
OFFER_BYTES = 4 * 1024 * 1024  # of records in memory for one offer
COMPACT_BELOW = 4  # a segment is compacted when fewer than one in so many of its bytes wait
WAITING_BYTES = 64 * 1024 * 1024  # gathered for the next sync

P = ParamSpec("P")
T = TypeVar("T")
Deliver = Callable[[Sequence[SpoolEntry]], Awaitable[Sequence[bool]]]


@dataclass(frozen=True)
class SpoolLimits:
    """How much of the disk the spool may take, in bytes."""

    max_bytes: int = 1 << 30
    free_bytes: int = 256 << 20  # of the disk that are left alone
    segment_bytes: int = 16 << 20


class Offered(NamedTuple):
    """What became of an offer."""

    shown: int
    taken: int


class _Batch(NamedTuple):
    entries: Sequence[SpoolEntry]
    frames: Sequence[bytes]
    size: int
    done: asyncio.Future[None]


class Spool:
    """Records on disk, by tenant. Use from one event loop."""

    def __init__(
        self, folder: Path, *, limits: SpoolLimits, on_stored: Callable[[str], None]
    ) -> None:
        self._disk = Disk(folder, segment_bytes=limits.segment_bytes, free_bytes=limits.free_bytes)
        self._limits = limits
        self._on_stored = on_stored
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._backlog = Backlog()
        self._gathered: list[_Batch] = []
        self._unwritten: dict[str, int] = {}  # tenant -> records gathered or being written
        self._unwritten_bytes = 0
        self._writing = asyncio.Lock()
        self._committer: asyncio.Task[None] | None = None
        # weak: a lock lives for as long as somebody has it or waits for it, and tenants that are
        # gone leave none
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Lock the folder and find what waits in it; raises SpoolLocked, SpoolBroken."""
        for found in await self._run(self._disk.open):
            self._backlog.push(found.tenant, found.place, found.at_s)
        await self._sweep()
        if self.records:
            log.warning("spool.recovered", records=self.records, bytes=self.bytes)

    async def close(self) -> None:
        """Write what was gathered, release the folder."""
        if self._committer is not None:
            await self._committer
        await self._run(self._disk.close)
        self._thread.shutdown()

    async def append(self, entries: Sequence[SpoolEntry]) -> None:
        """Store all entries durably, or none; raises SpoolFull, SpoolBroken."""
        frames = [pack(entry) for entry in entries]
        size = sum(map(len, frames))
        self._check_room(entries[0].tenant, size)
        batch = _Batch(entries, frames, size, asyncio.get_running_loop().create_future())
        self._count_unwritten(batch, 1)
        self._gathered.append(batch)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())
        await batch.done

    async def offer(self, tenant: str, count: int, deliver: Deliver) -> Offered:
        """Hand out a tenant's oldest records, at most `count`.

        `deliver` says of each whether it is settled.
        """
        async with self._lock(tenant):
            places = _within(self._backlog.first(tenant, count), OFFER_BYTES)
            if not places:
                return Offered(0, 0)
            found = await self._run(self._disk.read, places)
            whole = [at for at, one in enumerate(found) if one is not None]
            answers = await deliver([one.entry for one in found if one is not None])
            taken = {at for at, settled in zip(whole, answers, strict=True) if settled}
            lost = set(range(len(places))) - set(whole)
            await self._run(self._disk.mark_done, [places[at] for at in sorted(taken)])
            self._backlog.drop(tenant, places, taken | lost)
        self._tell_lost(len(lost))
        if not self._writing.locked():
            await self._sweep()
        return Offered(len(places), len(taken) + len(lost))

    async def erase(self, keep: Keep) -> int:
        """Remove every record that `keep` does not want, settled ones included.

        Returns how many waited.
        """
        async with self._writing:
            # what is written from here on goes into a new segment, so that none is rewritten that
            # is written to
            await self._run(self._disk.seal)
        return sum([await self._rewrite(number, keep) for number in self._disk.numbers])

    async def compact(self) -> None:
        """Give back the room of settled records, where a few waiting ones pin a segment and room is
        short.
        """
        for number in self._disk.numbers:
            live = self._backlog.live(number)[1]
            if self.bytes * 2 < self._limits.max_bytes or self._disk.is_active(number):
                return
            if 0 < live * COMPACT_BELOW < self._disk.size(number):
                await self._rewrite(number, None)

    def waiting(self, tenant: str) -> int:
        """Records of a tenant that the broker must get before any newer event."""
        return self._backlog.waiting(tenant) + self._unwritten.get(tenant, 0)

    def stored(self, tenant: str) -> int:
        """Records of a tenant that can be offered now."""
        return self._backlog.waiting(tenant)

    def tenants(self) -> list[str]:
        """Tenants with records that can be offered."""
        return self._backlog.tenants()

    @property
    def records(self) -> int:
        """Records that wait."""
        return self._backlog.records

    @property
    def bytes(self) -> int:
        """What the segments take of the disk."""
        return self._disk.used

    @property
    def damaged(self) -> int:
        """Records that the disk lost."""
        return self._disk.damaged

    @property
    def oldest_s(self) -> int | None:
        """Unix seconds at which the oldest record was spooled."""
        return self._backlog.oldest_s

    def _check_room(self, tenant: str, size: int) -> None:
        if self._unwritten_bytes + size > WAITING_BYTES:
            raise SpoolFull("the disk is too slow for what arrives")
        free = self._limits.max_bytes - self.bytes - self._unwritten_bytes - size
        if free < 0:
            raise SpoolFull(f"the spool's {self._limits.max_bytes} bytes are used up")
        if self._backlog.bytes_of(tenant) + size > TENANT_SHARE * (free + size):
            raise SpoolFull("the tenant's share of the spool is used up")

    def _count_unwritten(self, batch: _Batch, by: int) -> None:
        self._unwritten_bytes += by * batch.size
        for entry in batch.entries:
            left = self._unwritten.get(entry.tenant, 0) + by
            if left:
                self._unwritten[entry.tenant] = left
            else:
                del self._unwritten[entry.tenant]

    async def _commit(self) -> None:
        while self._gathered:
            async with self._writing:
                batches, self._gathered = self._gathered, []
                frames = [frame for batch in batches for frame in batch.frames]
                try:
                    places = await self._run(self._disk.append, frames)
                except Exception as error:
                    self._refuse(batches, error)
                else:
                    self._index(batches, places)
                await self._sweep()
        # no wait since the last look at `_gathered`: who comes now starts a committer of its own
        self._committer = None

    def _index(self, batches: Sequence[_Batch], places: Sequence[RecordPlace]) -> None:
        at = iter(places)
        for batch in batches:
            self._count_unwritten(batch, -1)
            for entry in batch.entries:
                self._backlog.push(entry.tenant, next(at), entry.at_ms // 1000)
            if not batch.done.done():
                batch.done.set_result(None)
        for tenant in {entry.tenant for batch in batches for entry in batch.entries}:
            self._on_stored(tenant)

    def _refuse(self, batches: Sequence[_Batch], error: Exception) -> None:
        known = (
            error
            if isinstance(error, SpoolError)
            else SpoolBroken(f"spool: {type(error).__name__}")
        )
        log.error(
            "spool.write_failed", error=type(error).__name__, why=str(known), requests=len(batches)
        )
        for batch in batches:
            self._count_unwritten(batch, -1)
            if not batch.done.done():
                # one for each: an exception that is raised in several tasks gathers the tracebacks
                # of all
                batch.done.set_exception(type(known)(str(known)))

    async def _rewrite(self, number: int, keep: Keep | None) -> int:
        async with contextlib.AsyncExitStack() as locks:
            # In the order that `tenants_of` fixes, or two rewrites could wait for each other. No
            # offer may read places while they move.
            for tenant in self._backlog.tenants_of(number):
                await locks.enter_async_context(self._lock(tenant))
            if number not in self._disk.numbers:
                return 0
            waiting = {place.offset for place in self._backlog.places_of(number)}
            try:
                rewritten = await self._run(self._disk.rewrite, number, waiting, keep)
            except OSError as error:
                raise SpoolBroken(f"spool: {error.strerror}") from error
            gone = 0 if rewritten is None else self._backlog.move(number, *rewritten)
        await self._sweep_idle()
        return gone

    async def _sweep_idle(self) -> None:
        if not self._writing.locked():
            await self._sweep()

    async def _sweep(self) -> None:
        """Delete segments without waiting records.

        Only where no written record is without its place in the backlog.
        """
        if idle := [number for number in self._disk.numbers if not self._backlog.live(number)[0]]:
            await self._run(self._disk.delete, idle)

    def _tell_lost(self, count: int) -> None:
        if count:
            self._disk.damaged += count
            log.error("spool.damaged", places=count, why="skipped: the disk changed them")

    def _lock(self, tenant: str) -> asyncio.Lock:
        return self._locks.setdefault(tenant, asyncio.Lock())

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(*args, **kwargs)
        )


def _within(places: list[RecordPlace], limit: int) -> list[RecordPlace]:
    size = 0
    for at, place in enumerate(places):
        size += place.size
        if size > limit and at:
            return places[:at]
    return places
