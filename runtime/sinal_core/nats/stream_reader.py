"""Looking into streams: what lies on a subject, one message after the other, and taking single ones
out.

For erasure and for finding what was lost; never on the way of an event. A work-queue stream holds a
message until it is acked, whatever its consumers say of themselves, so what is counted here is all
there is.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec

from sinal_core.nats import streams
from sinal_core.nats.errors import BusRefused, LaneMissing
from sinal_crds import names

_NO_MESSAGE = 10037
_NOT_THERE = frozenset({10037, 10043, 10057})  # no message; it is gone already


class Broker(Protocol):
    """The parts of the bus that this needs."""

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


class Content(msgspec.Struct, frozen=True):
    """One stored message."""

    seq: int
    subject: str
    body: bytes
    headers: Mapping[str, str] = {}


class _Message(msgspec.Struct, frozen=True):
    seq: int
    subject: str
    data: str = ""
    hdrs: str = ""


class _Got(msgspec.Struct, frozen=True):
    message: _Message


_got = msgspec.json.Decoder(_Got).decode


async def count(broker: Broker, stream: str, subject: str) -> int:
    """Messages on a subject, delivered or not; none where the stream is gone. Raises BusError."""
    try:
        return sum((await streams.held(broker.api, stream, subject)).values())
    except LaneMissing:
        return 0


async def scan(broker: Broker, stream: str, subject: str) -> AsyncIterator[Content]:
    """Every message on a subject, oldest first, up to where the stream ends when it is reached.

    Raises BusError.
    """
    seq = 1
    while True:
        wanted = msgspec.json.encode({"seq": seq, "next_by_subj": subject})
        try:
            found = _got(await broker.api(f"STREAM.MSG.GET.{stream}", wanted)).message
        except LaneMissing:
            return
        except BusRefused as error:
            if error.err_code == _NO_MESSAGE:
                return
            raise
        yield Content(
            found.seq,
            found.subject,
            b64decode(found.data),
            _headers(b64decode(found.hdrs).decode()),
        )
        seq = found.seq + 1


def _headers(text: str) -> dict[str, str]:
    """A block as it lies in the stream: a line with the protocol's version, then one a header."""
    lines = (line.partition(":") for line in text.split("\r\n")[1:])
    return {name: value.strip() for name, colon, value in lines if colon}


async def remove(broker: Broker, stream: str, seq: int) -> bool:
    """Delete one message and overwrite its bytes; False when it was gone. Raises BusError."""
    try:
        await broker.api(f"STREAM.MSG.DELETE.{stream}", msgspec.json.encode({"seq": seq}))
    except LaneMissing:
        return False
    except BusRefused as error:
        if error.err_code in _NOT_THERE:
            return False
        raise
    return True


def incoming(slug: str) -> tuple[str, str]:
    """Stream and subject of what a tenant has accepted and nobody has worked on."""
    return names.stream(slug), names.in_filter(slug)
