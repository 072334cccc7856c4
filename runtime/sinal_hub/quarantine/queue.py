"""The KV bucket of deliveries that nobody understood yet: `<slug>.<id>` -> sealed blob, gone after
30 days.

It is one bucket of the platform, not a lane of a tenant, and is made on first use where the
provisioner has not, which bounds it later. A delivery has a small head `<slug>.<id>`, and where its
body does not fit the head, parts `<slug>.<id>.<n>.<bytes>`, `n` from 1. The head is written last,
so that a delivery is there whole or not at all. Names carry sizes, so that a listing tells what a
tenant takes up. Older releases cut head and body together: `<slug>.<id>`, `<slug>.<id>.1`, …
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple, Protocol

from sinal_core.nats import client
from sinal_core.nats.errors import LaneMissing, NameTaken
from sinal_core.nats.jetstream import JetStream
from sinal_crds.names import QUARANTINE_BUCKET

KEEP_S = 30 * 86_400
PART_BYTES = 512 * 1024  # well under the broker's default message limit of 1 MiB
HEAD_BYTES = 4 * 1024  # the most that a head takes
_STREAM = f"KV_{QUARANTINE_BUCKET}"
_EVERY = "*"


class HeldDelivery(NamedTuple):
    """What there is of one delivery."""

    parts: tuple[str, ...] = ()  # names of its parts behind the head's, in their order
    bytes: int = 0  # that it takes at most


class Broker(Protocol):
    """The parts of the bus that this needs."""

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = ...
    ) -> client.Published: ...

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


class QuarantineBucket:
    """Writes blobs, reads, lists and removes them."""

    PREFIX = f"$KV.{QUARANTINE_BUCKET}."

    def __init__(self, bus: Broker) -> None:
        self._bus = bus

    @property
    def _jetstream(self) -> JetStream:
        return JetStream(self._bus.api)

    async def put(self, slug: str, blob_id: str, head: bytes, body: bytes = b"") -> None:
        """Store one delivery durably; raises BusError."""
        for subject, part in self.parts(slug, blob_id, head, body):
            await self.write(subject, part)

    def parts(
        self, slug: str, blob_id: str, head: bytes, body: bytes = b""
    ) -> list[tuple[str, bytes]]:
        """What `put` writes, in its order: subject and value."""
        cut = [body[at : at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]
        subject = f"{self.PREFIX}{slug}.{blob_id}"
        return [
            *((f"{subject}.{at}.{len(part)}", part) for at, part in enumerate(cut, 1)),
            (subject, head),
        ]

    async def write(
        self, subject: str, value: bytes, *, timeout_s: float = 5.0
    ) -> client.Published:
        """Store one part, making the bucket where it is missing; raises BusError."""
        key = subject.removeprefix(self.PREFIX)
        try:
            return await self._bus.publish(subject, value, msg_id=key, timeout_s=timeout_s)
        except LaneMissing:
            await self._create()
            return await self._bus.publish(subject, value, msg_id=key, timeout_s=timeout_s)

    async def held(
        self, slug: str | None = None, blob_id: str | None = None
    ) -> dict[tuple[str, str], HeldDelivery]:
        """What there is by tenant and id; raises BusError. Without a tenant of all tenants."""
        found: dict[tuple[str, str], list[str]] = {}
        pattern = f"{self.PREFIX}{slug or _EVERY}.{blob_id or '>'}"
        for subject in await self._jetstream.subjects(_STREAM, pattern):
            tenant, kept, *part = subject.removeprefix(self.PREFIX).split(".", 2)
            found.setdefault((tenant, kept), []).extend(part)
        return {key: _held(parts) for key, parts in found.items()}

    async def free(self) -> int | None:
        """How many bytes more the bucket takes, None where it has no bound; raises BusError."""
        info = await self._jetstream.stream(_STREAM)
        if info is None or info.max_bytes < 0:
            return None
        return max(0, info.max_bytes - info.state.bytes)

    async def head(self, slug: str, blob_id: str) -> bytes | None:
        """The head of one delivery, None when it is gone; raises BusError."""
        return await self._get(f"{self.PREFIX}{slug}.{blob_id}")

    async def body(self, slug: str, blob_id: str, held: HeldDelivery) -> bytes | None:
        """What stands behind the head, None when some of it is gone; raises BusError."""
        subject = f"{self.PREFIX}{slug}.{blob_id}"
        values = [await self._get(f"{subject}.{part}") for part in held.parts]
        return None if None in values else b"".join(value for value in values if value is not None)

    async def remove(self, slug: str, blob_id: str) -> None:
        """Forget one blob, its head first; raises BusError."""
        subject = f"{self.PREFIX}{slug}.{blob_id}"
        # without its head a delivery is not shown, so an interrupted removal leaves nothing that
        # looks whole
        for each in (subject, f"{subject}.>"):
            await self._jetstream.purge(_STREAM, each)

    async def _get(self, subject: str) -> bytes | None:
        found = await self._jetstream.last_message(_STREAM, subject)
        return None if found is None else found.body

    async def _create(self) -> None:
        config = {
            "name": _STREAM,
            "subjects": [f"{self.PREFIX}>"],
            "storage": "file",
            "retention": "limits",
            # full, it refuses: with `old` one sender's flood would push out what others wait to
            # read again
            "discard": "new",
            "max_age": KEEP_S * 1_000_000_000,
            "max_msgs_per_subject": 1,
            "allow_rollup_hdrs": False,  # else who writes one delivery can take all others away
            # forbids deleting by sequence; purging by subject, as `remove` does, stays permitted
            "deny_delete": True,
            "allow_direct": True,
        }
        with suppress(NameTaken):  # it exists with other settings: somebody configured it
            await self._jetstream.create_stream(config)


def _held(parts: list[str]) -> HeldDelivery:
    """A name that says no size is of an older release, which cut at `PART_BYTES`."""
    ordered = tuple(sorted(parts, key=lambda part: int(part.partition(".")[0])))
    return HeldDelivery(
        ordered, HEAD_BYTES + sum(int(part.partition(".")[2] or PART_BYTES) for part in ordered)
    )
