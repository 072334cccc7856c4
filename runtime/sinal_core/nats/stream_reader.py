"""Looking into streams: what lies on a subject, one message after the other, and taking single ones
out.

For erasure and for finding what was lost; never on the way of an event. A work-queue stream holds a
message until it is acked, whatever its consumers say of themselves, so what is counted here is all
there is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from sinal_core.nats.jetstream import JetStream, StoredMessage
from sinal_crds import names


class Broker(Protocol):
    """The parts of the bus that this needs."""

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


async def count(broker: Broker, stream: str, subject: str) -> int:
    """Messages on a subject, delivered or not; none where the stream is gone. Raises BusError."""
    return sum((await JetStream(broker.api).subjects(stream, subject)).values())


def scan(broker: Broker, stream: str, subject: str) -> AsyncIterator[StoredMessage]:
    """Every message on a subject, oldest first, up to where the stream ends when it is reached.

    Raises BusError.
    """
    return JetStream(broker.api).scan(stream, subject)


async def remove(broker: Broker, stream: str, seq: int) -> bool:
    """Delete one message and overwrite its bytes; False when it was gone. Raises BusError."""
    return await JetStream(broker.api).delete_message(stream, seq)


def incoming(slug: str) -> tuple[str, str]:
    """Stream and subject of what a tenant has accepted and nobody has worked on."""
    return names.stream(slug), names.in_filter(slug)
