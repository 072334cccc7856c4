"""Every accepted event and every request, queryable, in bounded memory: the oldest leave first and
are counted.

An event whose pixel, name and id were seen within 48 hours is marked `duplicate` and kept all the
same. Meta promises to absorb such a repeat only between the browser and the server, not between two
server events: the mark is there for tests to see repeats, it is not a statement that Meta would
have discarded it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import msgspec

DEDUP_WINDOW_MS = 48 * 3_600_000
# dedup keys remembered for each queryable event: a repeat is seen longer than its first is shown
KEYS_PER_EVENT = 5


# It holds no containers, so that the collector need not visit every one of them.
class Record(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One accepted event; `raw` is its JSON as sent."""

    pixel: str
    event_name: str
    event_id: str | None
    order_id: str | None
    event_time: int  # Unix seconds
    received_at: int  # Unix ms
    is_web: bool
    identifiers: int  # mask, see `customer.BITS`
    duplicate: bool
    test_event_code: str | None
    raw: bytes


class RequestEntry(msgspec.Struct, kw_only=True):
    """One line of the request log; `status` and `ms` stay None where no answer left."""

    at: int  # Unix ms
    pixel: str
    version: str
    events: int = 0
    accepted: bool = False  # whether the events were stored, whatever was answered
    status: int | None = None
    code: int | None = None
    subcode: int | None = None
    ms: float | None = None
    fault: str | None = None


class RecordFilter(msgspec.Struct, kw_only=True, frozen=True):
    """Which events to show; None means any."""

    pixel: str | None = None
    event_name: str | None = None
    event_id: str | None = None
    order_id: str | None = None

    def admits(self, record: Record) -> bool:
        """Whether the record passes every given field."""
        return (
            (self.pixel is None or record.pixel == self.pixel)
            and (self.event_id is None or record.event_id == self.event_id)
            and (self.order_id is None or record.order_id == self.order_id)
            and (self.event_name is None or record.event_name == self.event_name)
        )


class SeenKeys:
    """Dedup keys of the last 48 hours, at most `limit` of them."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._first_seen: dict[bytes, int] = {}
        self._order: deque[bytes] = deque()  # oldest first; a dict is slow to pop from its front

    def __len__(self) -> int:
        return len(self._first_seen)

    def add(self, pixel: str, event_name: str, event_id: str | None, now_ms: int) -> bool:
        """Remember a key; True if it was there already.

        An event without an id is never a repeat.
        """
        if event_id is None:
            return False
        self._forget(now_ms - DEDUP_WINDOW_MS)
        text = f"{pixel}\0{event_name}\0{event_id}"
        # 96 bits: two of a million keys do not meet, and a key takes a fraction of its text.
        key = blake2b(text.encode(), digest_size=12).digest()
        if key in self._first_seen:
            return True
        self._first_seen[key] = now_ms
        self._order.append(key)
        return False

    def clear(self) -> None:
        """Forget everything."""
        self._first_seen.clear()
        self._order.clear()

    def _forget(self, before_ms: int) -> None:
        while self._order and (
            len(self._order) >= self._limit or self._first_seen[self._order[0]] < before_ms
        ):
            del self._first_seen[self._order.popleft()]


class EventLog:
    """The accepted events, newest last."""

    def __init__(self, *, keep: int, keep_bytes: int) -> None:
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._records: deque[Record] = deque()
        self._bytes = 0
        self.seen = SeenKeys(limit=keep * KEYS_PER_EVENT)
        self.received = 0  # since the start or the last clear
        self.duplicates = 0
        self.dropped = 0  # left to keep within the bounds

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def add(self, record: Record) -> None:
        """Keep a record, dropping the oldest where the bounds ask for it."""
        self._records.append(record)
        self._bytes += len(record.raw)
        self.received += 1
        self.duplicates += record.duplicate
        while len(self._records) > self._keep or (
            # The newest stays, even where it is over the bound by itself.
            self._bytes > self._keep_bytes and len(self._records) > 1
        ):
            self._bytes -= len(self._records.popleft().raw)
            self.dropped += 1

    def find(self, wanted: RecordFilter, *, limit: int) -> tuple[list[Record], int]:
        """The newest `limit` records that pass, oldest first, and how many pass in all."""
        found = [record for record in self._candidates(wanted) if wanted.admits(record)]
        return found[-limit:] if limit else [], len(found)

    def _candidates(self, wanted: RecordFilter) -> Iterable[Record]:
        """The records with the most telling field.

        Tests poll for one order while a load test runs.
        """
        if wanted.event_id is not None:
            return [record for record in self._records if record.event_id == wanted.event_id]
        if wanted.order_id is not None:
            return [record for record in self._records if record.order_id == wanted.order_id]
        return self._records

    def clear(self) -> None:
        """Forget events, dedup keys and counters."""
        self._records.clear()
        self._bytes = self.received = self.duplicates = self.dropped = 0
        self.seen.clear()

    def counters(self) -> dict[str, int]:
        """What a health answer shows."""
        return {
            "received": self.received,
            "duplicates": self.duplicates,
            "kept": len(self._records),
            "kept_bytes": self._bytes,
            "dropped": self.dropped,
        }


class RequestLog:
    """The latest requests to the events edge, newest last."""

    def __init__(self, *, keep: int) -> None:
        self._entries: deque[RequestEntry] = deque(maxlen=keep)
        self.total = 0

    def open(self, **fields: Any) -> RequestEntry:
        """Begin an entry; it is visible at once and filled in as the request goes on."""
        entry = RequestEntry(**fields)
        self._entries.append(entry)
        self.total += 1
        return entry

    def find(self, pixel: str | None, *, limit: int) -> tuple[list[RequestEntry], int]:
        """The newest `limit` entries of a pixel (or all), oldest first, and how many there are."""
        found = [entry for entry in self._entries if pixel is None or entry.pixel == pixel]
        return found[-limit:] if limit else [], len(found)

    def clear(self) -> None:
        """Forget every entry."""
        self._entries.clear()
        self.total = 0
