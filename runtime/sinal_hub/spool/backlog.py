"""Where the records of each tenant lie, in the tenant's order: 16 bytes of memory a record.

Positions rise within a tenant because segments are numbered and written at their end; that is what
makes the records of one segment a run that can be found by bisection.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

_SHRINK = 1_024  # settled places at a queue's head before they are given back


class RecordPlace(NamedTuple):
    """Where a record lies."""

    segment: int
    offset: int
    size: int


class TenantBacklog:
    """One tenant's waiting records, oldest first."""

    def __init__(self) -> None:
        self.bytes = 0
        self._head = 0
        self._at = array("Q")  # segment << 32 | offset
        self._sizes = array("I")
        self._times = array("I")  # Unix seconds

    def __len__(self) -> int:
        return len(self._at) - self._head

    def push(self, place: RecordPlace, at_s: int) -> None:
        """Add behind the others."""
        self._at.append(place.segment << 32 | place.offset)
        self._sizes.append(place.size)
        self._times.append(at_s)
        self.bytes += place.size

    def first(self, count: int) -> list[RecordPlace]:
        """The oldest ones, at most `count`."""
        return [self._place(at) for at in range(self._head, min(self._head + count, len(self._at)))]

    @property
    def oldest_s(self) -> int:
        """Unix seconds of the oldest; raises IndexError when there is none."""
        return self._times[self._head]

    def of_segment(self, number: int) -> list[RecordPlace]:
        """The records that lie in one segment."""
        return [self._place(at) for at in self._run(number)]

    def drop(self, indexes: Collection[int]) -> None:
        """Take away those at these places, counted from the oldest."""
        if not indexes:
            return
        last = max(indexes)
        kept = [at for at in range(last + 1) if at not in indexes]
        self.bytes -= sum(self._sizes[self._head + at] for at in indexes)
        for column in (self._at, self._sizes, self._times):
            values = [column[self._head + at] for at in kept]
            # those that stay move up behind the settled ones: they keep their sequence, and the
            # head goes past the gap
            for at, value in enumerate(values, self._head + last + 1 - len(kept)):
                column[at] = value
        self._head += last + 1 - len(kept)
        # only where most of it is settled: cutting the front moves all that is left
        if self._head > _SHRINK and self._head * 2 > len(self._at):
            self._cut(0, self._head)
            self._head = 0

    def move(self, number: int, moved: Mapping[int, int]) -> int:
        """A segment was rewritten: old offset -> new one, absent ones are gone.

        Returns how many are gone.
        """
        run = self._run(number)
        kept = [at for at in run if self._place(at).offset in moved]
        self.bytes -= sum(self._sizes[at] for at in run) - sum(self._sizes[at] for at in kept)
        places = [number << 32 | moved[self._place(at).offset] for at in kept]
        rest = [(self._sizes[at], self._times[at]) for at in kept]
        for to, (place, (size, time)) in enumerate(zip(places, rest, strict=True), run.start):
            self._at[to], self._sizes[to], self._times[to] = place, size, time
        self._cut(run.start + len(kept), run.stop)
        return len(run) - len(kept)

    def _place(self, at: int) -> RecordPlace:
        return RecordPlace(self._at[at] >> 32, self._at[at] & 0xFFFFFFFF, self._sizes[at])

    def _run(self, number: int) -> range:
        start = bisect_left(self._at, number << 32, lo=self._head)
        return range(start, bisect_left(self._at, (number + 1) << 32, lo=start))

    def _cut(self, start: int, stop: int) -> None:
        for column in (self._at, self._sizes, self._times):
            del column[start:stop]


class Backlog:
    """The queues of all tenants, and how many waiting records each segment holds."""

    def __init__(self) -> None:
        self._queues: dict[str, TenantBacklog] = {}
        self._live: dict[int, list[int]] = {}  # segment -> records, bytes
        self.records = 0

    def push(self, tenant: str, place: RecordPlace, at_s: int) -> None:
        """A record was written."""
        self._queues.setdefault(tenant, TenantBacklog()).push(place, at_s)
        self._count(place, 1)

    def first(self, tenant: str, count: int) -> list[RecordPlace]:
        """A tenant's oldest records."""
        queue = self._queues.get(tenant)
        return queue.first(count) if queue is not None else []

    def drop(self, tenant: str, places: Sequence[RecordPlace], indexes: Collection[int]) -> None:
        """Of a tenant's oldest records, these are settled."""
        queue = self._queues[tenant]
        queue.drop(indexes)
        for at in indexes:
            self._count(places[at], -1)
        if not queue:
            del self._queues[tenant]

    def move(self, number: int, moved: Mapping[int, int], sizes: Mapping[int, int]) -> int:
        """A segment was rewritten; `sizes` of the kept records by their old offset.

        Returns how many are gone.
        """
        gone = 0
        for tenant, queue in list(self._queues.items()):
            gone += queue.move(number, moved)
            if not queue:
                del self._queues[tenant]
        self.records -= gone
        self._live[number] = [len(moved), sum(sizes.values())]
        if not moved:
            del self._live[number]
        return gone

    def tenants_of(self, number: int) -> list[str]:
        """Tenants with records in a segment, in a fixed order."""
        return sorted(tenant for tenant, queue in self._queues.items() if queue.of_segment(number))

    def places_of(self, number: int) -> list[RecordPlace]:
        """Every waiting record of a segment, in the segment's order."""
        return sorted(
            place for queue in self._queues.values() for place in queue.of_segment(number)
        )

    def live(self, number: int) -> tuple[int, int]:
        """Waiting records and bytes of a segment."""
        records, size = self._live.get(number, (0, 0))
        return records, size

    def waiting(self, tenant: str) -> int:
        """Records of a tenant."""
        queue = self._queues.get(tenant)
        return len(queue) if queue is not None else 0

    def bytes_of(self, tenant: str) -> int:
        """Bytes of a tenant's records."""
        queue = self._queues.get(tenant)
        return queue.bytes if queue is not None else 0

    def tenants(self) -> list[str]:
        """Tenants with records."""
        return list(self._queues)

    @property
    def oldest_s(self) -> int | None:
        """Unix seconds of the oldest record, None when there is none."""
        return min((queue.oldest_s for queue in self._queues.values()), default=None)

    def _count(self, place: RecordPlace, by: int) -> None:
        live = self._live.setdefault(place.segment, [0, 0])
        live[0] += by
        live[1] += by * place.size
        self.records += by
        if not live[0]:
            del self._live[place.segment]
