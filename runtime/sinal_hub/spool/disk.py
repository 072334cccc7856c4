"""The spool's folder: one lock, numbered segments, one of them written to.

Blocking; the spool calls it on one thread of its own, so that no two of these calls ever overlap. A
segment is never written to again after an error or a restart: after a failed sync nobody knows what
of it the disk has.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from sinal_hub.spool.backlog import RecordPlace
from sinal_hub.spool.errors import SpoolBroken, SpoolFull, SpoolLocked
from sinal_hub.spool.record import MAGIC, Found, SpoolEntry, scan
from sinal_hub.spool.segment import SUFFIX, Segment

log = structlog.get_logger(__name__)

LOCK = "lock"
Keep = Callable[[SpoolEntry], bool]


class Recovered(NamedTuple):
    """One waiting record found at start."""

    tenant: str
    place: RecordPlace
    at_s: int


class Rewritten(NamedTuple):
    """What a segment holds after a rewrite."""

    moved: dict[int, int]  # old offset -> new
    sizes: dict[int, int]  # old offset -> bytes


class Disk:
    """Segments by number; `used` is what they take."""

    def __init__(self, folder: Path, *, segment_bytes: int, free_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes, self._free_bytes = segment_bytes, free_bytes
        self._segments: dict[int, Segment] = {}
        self._active: Segment | None = None
        self._next = 1
        self._lock_fd = -1
        self.damaged = 0  # places found that hold no whole record

    @property
    def used(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in tuple(self._segments.values()))

    @property
    def numbers(self) -> list[int]:
        """Numbers of all segments, oldest first."""
        return sorted(self._segments)

    def is_active(self, number: int) -> bool:
        """Whether it is the segment that is written to."""
        return self._active is not None and self._active.number == number

    def size(self, number: int) -> int:
        """Bytes of one segment, 0 when it is gone."""
        segment = self._segments.get(number)
        return segment.size if segment is not None else 0

    def open(self) -> list[Recovered]:
        """Lock the folder and read what an earlier process left.

        Raises SpoolLocked, SpoolBroken.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            # of segments: the cache of plans writes beside them
            for leftover in self._folder.glob("[0-9]*.new"):
                leftover.unlink()
            paths = sorted(self._folder.glob(f"*{SUFFIX}"))
            return [
                found for path in paths for found in self._load(path, is_last=path == paths[-1])
            ]
        except OSError as error:
            raise SpoolBroken(
                f"spool folder {self._folder}: {error.strerror}; give another SINAL_SPOOL_DIR"
            ) from error

    def append(self, frames: Sequence[bytes]) -> list[RecordPlace]:
        """Write records and wait for the disk.

        Raises SpoolFull, SpoolBroken with none of them kept.
        """
        data = b"".join(frames)
        try:
            self._check_floor(len(data))
            segment = self._writable()
            start = segment.size
            segment.append(data)
        except OSError as error:
            self.seal()
            raise SpoolBroken(f"spool folder {self._folder}: {error.strerror}") from error
        places: list[RecordPlace] = []
        for frame in frames:
            places.append(RecordPlace(segment.number, start, len(frame)))
            start += len(frame)
        return places

    def read(self, places: Iterable[RecordPlace]) -> list[Found | None]:
        """The records at these places; None for a damaged one."""
        return [self._segments[place.segment].read(place.offset, place.size) for place in places]

    def mark_done(self, places: Iterable[RecordPlace]) -> None:
        """Say of these records that the broker has them."""
        for place in places:
            try:
                self._segments[place.segment].mark_done([place.offset])
            except OSError as error:
                log.warning(
                    "spool.mark_failed",
                    error=type(error).__name__,
                    why="they are sent again after a crash",
                )
                return

    def rewrite(self, number: int, waiting: Collection[int], keep: Keep | None) -> Rewritten | None:
        """Rewrite a sealed segment with those waiting records that `keep` wants.

        None and nothing done when `keep` wants every record; without `keep` it wants all and only
        settled ones go.
        """
        segment = self._segments[number]
        data = segment.path.read_bytes()
        records = scan(data).records
        if keep is not None and all(keep(found.entry) for found in records):
            return None
        kept = [
            one for one in records if one.offset in waiting and (keep is None or keep(one.entry))
        ]
        moved, at = {}, len(MAGIC)
        for one in kept:
            moved[one.offset] = at
            at += one.size
        self._segments[number] = segment.rewrite(
            [data[one.offset : one.offset + one.size] for one in kept]
        )
        return Rewritten(moved, {one.offset: one.size for one in kept})

    def seal(self) -> None:
        """Never write to the active segment again."""
        segment, self._active = self._active, None
        if segment is not None and segment.size == len(MAGIC):
            self.delete([segment.number])

    def delete(self, numbers: Iterable[int]) -> None:
        """Remove segments."""
        for number in numbers:
            if self.is_active(number):
                self._active = None
            segment = self._segments.pop(number, None)
            try:
                if segment is not None:
                    segment.delete()
            except OSError as error:
                log.warning("spool.delete_failed", segment=number, error=type(error).__name__)

    def close(self) -> None:
        """Release files and lock."""
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()
        self._active = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _take_lock(self) -> None:
        self._lock_fd = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # It ends with the process, however that dies; a file that names its holder would
            # outlive a kill.
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            self._lock_fd = -1
            raise SpoolLocked(
                f"spool folder {self._folder}: another process works in it; give each its own "
                "SINAL_SPOOL_DIR"
            ) from None

    def _load(self, path: Path, *, is_last: bool) -> list[Recovered]:
        loaded = Segment.load(path)
        self._next = max(self._next, int(path.stem) + 1) if path.stem.isdecimal() else self._next
        if loaded is None:
            self.damaged += 1
            path.replace(path.with_suffix(".bad"))
            log.error("spool.not_a_segment", file=path.name, why="renamed to .bad and left alone")
            return []
        segment, found = loaded
        self._segments[segment.number] = segment
        self._tell_damage(segment, found.damaged, segment.size - found.end, is_last=is_last)
        return [
            Recovered(
                one.entry.tenant,
                RecordPlace(segment.number, one.offset, one.size),
                one.entry.at_ms // 1000,
            )
            for one in found.records
            if not one.done
        ]

    def _tell_damage(self, segment: Segment, damaged: int, behind: int, *, is_last: bool) -> None:
        # a crash in the middle of a write: nobody was told that it is stored
        if behind and is_last:
            log.warning(
                "spool.torn_tail",
                file=segment.path.name,
                bytes=behind,
                why="cut off; it was never promised",
            )
            segment.truncate(segment.size - behind)
        # a crash tears the newest segment only: what lies behind the end of an older one was
        # changed later
        elif behind:
            damaged += 1
        if damaged:
            self.damaged += damaged
            log.error(
                "spool.damaged",
                file=segment.path.name,
                places=damaged,
                why="skipped: the disk changed them",
            )

    def _writable(self) -> Segment:
        if self._active is None or self._active.size >= self._segment_bytes:
            self._active = Segment.create(self._folder, self._next)
            self._next += 1
            self._segments[self._active.number] = self._active
        return self._active

    def _check_floor(self, size: int) -> None:
        # f_bavail and not f_bfree: what the file system keeps for root is not there for us
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize - size < self._free_bytes:
            raise SpoolFull(f"the disk has less than {self._free_bytes} bytes left")
