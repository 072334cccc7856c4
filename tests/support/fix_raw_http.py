"""Requests as packets: a test that cuts them knows that each piece was read before the next one is
sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from sinal_core.http.protocol import Guarded
from sinal_hub.ingest.server import IngestServer

from tests.support.eventually import eventually


@dataclass
class Heard:
    """What the edges of this process read, and whom they lost; by the sender's port."""

    read: Counter[int] = field(default_factory=Counter)
    lost: set[int] = field(default_factory=set)

    async def all_of(self, port: int, count: int) -> None:
        """Wait until so many bytes of a sender were read, or its connection is closed."""
        await eventually(lambda: self.read[port] >= count or port in self.lost)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Looks on from here on."""
    found = Heard()
    made, received, lost = Guarded.connection_made, Guarded.data_received, Guarded.connection_lost

    def port_of(protocol: Guarded) -> int:
        peer = protocol.transport.get_extra_info("peername")  # nothing where it has left already
        return int(peer[1]) if peer else 0

    def seen(protocol: Guarded, transport: asyncio.Transport) -> None:
        made(protocol, transport)
        # The system gives ports again: what was counted is of an earlier sender.
        found.read.pop(port_of(protocol), None)
        found.lost.discard(port_of(protocol))

    def counted(protocol: Guarded, data: bytes) -> None:
        received(protocol, data)
        found.read[port_of(protocol)] += len(data)

    def gone(protocol: Guarded, exc: Exception | None) -> None:
        lost(protocol, exc)
        found.lost.add(port_of(protocol))

    monkeypatch.setattr(Guarded, "connection_made", seen)
    monkeypatch.setattr(Guarded, "data_received", counted)
    monkeypatch.setattr(Guarded, "connection_lost", gone)
    return found


class Sender:
    """One connection to an edge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self._sent = reader, writer, 0

    @property
    def port(self) -> int:
        """Its own port."""
        port: int = self.writer.get_extra_info("sockname")[1]
        return port

    def send(self, data: bytes) -> None:
        """Send at once."""
        self.writer.write(data)
        self._sent += len(data)

    async def send_apart(self, heard: Heard, *pieces: bytes) -> None:
        """Send each piece once the one before was read.

        After the server has closed the connection none is.
        """
        for piece in pieces:
            self.send(piece)
            await heard.all_of(self.port, self._sent)


@contextlib.asynccontextmanager
async def sender(server: IngestServer) -> AsyncIterator[Sender]:
    """A connection that is gone after the block, however that ends."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Sender(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
