"""The format of a segment: a header, then records, each with its length and checksum.

    segment = MAGIC, record*
    record  = MARK (4), CRC-32 of length and payload (4), length of payload (4), state (1), payload

`state` is the only byte that ever changes: it says that the broker has the record. It is outside
the checksum, and one byte cannot be torn. Every other change of a record shows in its checksum;
reading goes on at the next whole record. The mark has a NUL in it: JSON text never holds it, so no
event can pretend to be a record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

MAGIC = b"sinal spool v1\n\x00"
MARK = b"\x1eSR\x00"
WAITING, DONE = 0x00, 0xA5
MAX_PAYLOAD = 4 * 1024 * 1024
STATE_AT = 12  # of the state within a record
_HEAD = struct.Struct("<4sIIB")
HEAD_BYTES = _HEAD.size
_LENGTH = struct.Struct("<I")


class SpoolEntry(msgspec.Struct, frozen=True, array_like=True):
    """One message that the broker shall get."""

    tenant: str
    subject: str
    msg_id: str
    at_ms: int  # Unix ms at which it was spooled
    body: bytes
    # UID of the Tenant that it was taken for; empty in records of a release that did not say
    owner: str = ""
    home: str = ""  # its namespace and name


class Owner(NamedTuple):
    """The Tenant that has a slug now; `legacy` is whose place it takes, as namespace and name."""

    uid: str
    home: str
    legacy: str = ""

    def has(self, entry: SpoolEntry) -> bool:
        """Whether a record was taken for it."""
        return not entry.owner or entry.owner == self.uid or entry.home in (self.home, self.legacy)


class Found(NamedTuple):
    """A whole record within a segment."""

    offset: int
    size: int  # with its head
    done: bool
    entry: SpoolEntry


class Scan(NamedTuple):
    """What a segment holds."""

    records: list[Found]
    damaged: int  # places where something that is not a whole record lies between whole ones
    end: int  # behind the last whole record


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SpoolEntry).decode


def pack(entry: SpoolEntry) -> bytes:
    """The entry as one record; raises ValueError when it is larger than MAX_PAYLOAD."""
    payload = _encode(entry)
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a record holds at most {MAX_PAYLOAD} bytes; this one has {len(payload)}")
    return _HEAD.pack(MARK, _checksum(payload), len(payload), WAITING) + payload


def unpack(data: bytes, offset: int = 0) -> Found | None:
    """The whole record that starts at `offset`, or None."""
    if len(data) - offset < HEAD_BYTES:
        return None
    mark, checksum, length, state = _HEAD.unpack_from(data, offset)
    end = offset + HEAD_BYTES + length
    if mark != MARK or length > MAX_PAYLOAD or end > len(data):
        return None
    payload = data[offset + HEAD_BYTES : end]
    if _checksum(payload) != checksum:
        return None
    try:
        return Found(offset, HEAD_BYTES + length, state == DONE, _decode(payload))
    except msgspec.MsgspecError:
        return None


def scan(data: bytes) -> Scan:
    """Every whole record of a segment's bytes, in order; damage costs only the records it hit."""
    records: list[Found] = []
    damaged, end = 0, len(MAGIC)
    for found in _whole(data):
        damaged += found.offset != end
        end = found.offset + found.size
        records.append(found)
    return Scan(records, damaged, end)


def _whole(data: bytes) -> Iterator[Found]:
    at = len(MAGIC)
    while at >= 0:
        found = unpack(data, at)
        if found is None:
            at = data.find(MARK, at + 1)
        else:
            yield found
            at = found.offset + found.size


def _checksum(payload: bytes) -> int:
    # the length as well: a changed one would make the records behind it a part of this payload
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(len(payload))))
