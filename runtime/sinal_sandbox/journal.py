"""Accepted events on disk, one JSON line each, so that a restarted emulator still knows what it
received.

Lines reach the file before the answer leaves (not synced: an emulator survives its own crash, not a
power cut). The file holds at most twice what memory keeps and is then rewritten from memory. A torn
last line is dropped on load.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sinal_sandbox.records import EventLog, Record

_logger = logging.getLogger(__name__)


class _Line(msgspec.Struct, kw_only=True):
    pixel: str
    event_name: str
    event_id: str | None
    order_id: str | None
    event_time: int
    received_at: int
    is_web: bool
    identifiers: int
    duplicate: bool
    test_event_code: str | None
    event: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class Journal:
    """One journal file, open for appending."""

    def __init__(self, path: Path, *, keep: int) -> None:
        self._path = path
        self._rewrite_at = 2 * keep
        self._lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def load(self, log: EventLog) -> None:
        """Fill an empty log from the file, then write the file anew without what the log
        dropped.
        """
        for record in self._read():
            log.seen.add(record.pixel, record.event_name, record.event_id, record.received_at)
            log.add(record)
        self._rewrite(log)

    def append(self, records: Iterable[Record], log: EventLog) -> None:
        """Write records that were just added to the log."""
        lines = [_line(record) for record in records]
        self._file.write(b"".join(lines))
        self._file.flush()
        self._lines += len(lines)
        if self._lines > self._rewrite_at:
            self._rewrite(log)

    def clear(self) -> None:
        """Empty the file."""
        self._file.truncate(0)
        self._lines = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> Iterator[Record]:
        with self._path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                try:
                    line = _decode(text)
                except msgspec.DecodeError:
                    _logger.warning(
                        "%s: line %d is not a record and is dropped", self._path, number
                    )
                    continue
                yield _record(line)

    def _rewrite(self, log: EventLog) -> None:
        draft = self._path.with_suffix(self._path.suffix + ".new")
        with draft.open("wb") as file:
            file.writelines(_line(record) for record in log)
        self._file.close()
        # The old file is whole until this moment: a crash before it loses nothing.
        os.replace(draft, self._path)
        self._file = self._path.open("ab")
        self._lines = len(log)


def _line(record: Record) -> bytes:
    fields = {name: getattr(record, name) for name in record.__struct_fields__ if name != "raw"}
    # A newline inside the event can only be white space between tokens: JSON escapes those of
    # strings.
    return _encode(_Line(**fields, event=msgspec.Raw(record.raw.replace(b"\n", b" ")))) + b"\n"


def _record(line: _Line) -> Record:
    fields = {name: getattr(line, name) for name in line.__struct_fields__ if name != "event"}
    return Record(**fields, raw=bytes(line.event))
