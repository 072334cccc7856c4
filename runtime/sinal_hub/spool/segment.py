"""One file of the spool: written at its end, marked in place, read by offset, rewritten whole,
deleted.

Everything here blocks and belongs on the spool's thread. Invariant: what `append` returned for is
on the disk, and what it raised for is not in the file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sinal_hub.spool import record
from sinal_hub.spool.record import DONE, MAGIC, STATE_AT, Found

SUFFIX = ".seg"
_PRIVATE = 0o600
_DONE = bytes([DONE])


class Segment:
    """An open segment; `size` is what it takes of the disk."""

    def __init__(self, path: Path, number: int, descriptor: int, size: int) -> None:
        self.path, self.number, self.size = path, number, size
        self._fd = descriptor

    @classmethod
    def create(cls, folder: Path, number: int) -> Segment:
        """A new file, durable with its name; raises OSError and leaves nothing behind."""
        path = folder / f"{number:010d}{SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        try:
            _write_all(descriptor, MAGIC)
            os.fsync(descriptor)
            # a file's name is data of its folder: without this a power cut takes the file, however
            # well it was synced
            _sync_folder(folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return cls(path, number, descriptor, len(MAGIC))

    @classmethod
    def load(cls, path: Path) -> tuple[Segment, record.Scan] | None:
        """An existing file and what it holds; None for a file that is not a segment."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        data = path.read_bytes()
        if not data.startswith(MAGIC):
            os.close(descriptor)
            return None
        return cls(path, int(path.stem), descriptor, len(data)), record.scan(data)

    def append(self, data: bytes) -> None:
        """Write at the end and wait for the disk; raises OSError with the file as it was."""
        try:
            _write_all(self._fd, data, at=self.size)
            # it syncs of the metadata what reading needs, as the new length; times are not worth a
            # second write
            os.fdatasync(self._fd)
        except OSError:
            # its sender hears that it was not kept: the next start must not find it
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def read(self, offset: int, size: int) -> Found | None:
        """The record at that place, or None when it is damaged."""
        try:
            return record.unpack(os.pread(self._fd, size, offset))
        except OSError:
            return None

    def mark_done(self, offsets: Iterable[int]) -> None:
        """Say of these records that the broker has them.

        Not synced: a mark that is lost costs a repeat.
        """
        for offset in offsets:
            os.pwrite(self._fd, _DONE, offset + STATE_AT)

    def truncate(self, size: int) -> None:
        """Cut off what is behind `size`."""
        os.ftruncate(self._fd, size)
        os.fsync(self._fd)
        self.size = size

    def rewrite(self, frames: Sequence[bytes]) -> Segment:
        """The segment with exactly these records, in place of this one.

        Raises OSError with this one untouched.
        """
        aside = self.path.with_suffix(".new")
        data = MAGIC + b"".join(frames)
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
            # at one stroke: a crash leaves the old segment or the new one, never a half of either
            aside.replace(self.path)
        except OSError:
            os.close(descriptor)
            aside.unlink(missing_ok=True)
            raise
        _sync_folder(self.path.parent)
        self.close()
        return Segment(self.path, self.number, descriptor, len(data))

    def delete(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)


def _write_all(descriptor: int, data: bytes, *, at: int = 0) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        at += written
        view = view[written:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
