"""The KV bucket of deliveries that nobody understood yet: `<slug>.<id>` -> sealed blob, gone after 30 days.

It is one bucket of the platform, not a lane of a tenant, and is made on first use where the provisioner has not. A blob
that is larger than a message is stored in parts `<slug>.<id>`, `<slug>.<id>.1`, …; the first is written last, so that a
delivery is there whole or not at all.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from sinal_crds.names import QUARANTINE_BUCKET
from sinal_runtime.bus import client
from sinal_runtime.bus.errors import BusRefused, LaneMissing

KEEP_S = 30 * 86_400
PART_BYTES = 512 * 1024  # well under the broker's default message limit of 1 MiB
_NAME_IN_USE = 10058  # the bucket exists with other settings: somebody configured it


class Broker(Protocol):
    """The parts of the bus that this needs."""

    async def publish(self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = ...) -> client.Published: ...

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


class QuarantineBucket:
    """Writes blobs, reads, lists and removes them."""

    PREFIX = f"$KV.{QUARANTINE_BUCKET}."

    def __init__(self, bus: Broker) -> None:
        self._bus = bus

    async def put(self, slug: str, blob_id: str, blob: bytes) -> None:
        """Store one blob durably; raises BusError."""
        for subject, part in self.parts(slug, blob_id, blob):
            await self.write(subject, part)

    def parts(self, slug: str, blob_id: str, blob: bytes) -> list[tuple[str, bytes]]:
        """What `put` writes, in its order: subject and value."""
        parts = [blob[at : at + PART_BYTES] for at in range(0, len(blob), PART_BYTES)] or [b""]
        subject = f"{self.PREFIX}{slug}.{blob_id}"
        return [(subject + (f".{at}" if at else ""), parts[at]) for at in range(len(parts) - 1, -1, -1)]

    async def write(self, subject: str, value: bytes, *, timeout_s: float = 5.0) -> client.Published:
        """Store one part, making the bucket where it is missing; raises BusError."""
        key = subject.removeprefix(self.PREFIX)
        try:
            return await self._bus.publish(subject, value, msg_id=key, timeout_s=timeout_s)
        except LaneMissing:
            await self._create()
            return await self._bus.publish(subject, value, msg_id=key, timeout_s=timeout_s)

    async def _create(self) -> None:
        config = {
            "name": f"KV_{QUARANTINE_BUCKET}",
            "subjects": [f"$KV.{QUARANTINE_BUCKET}.>"],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_age": KEEP_S * 1_000_000_000,
            "max_msgs_per_subject": 1,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
        }
        try:
            await self._bus.api(f"STREAM.CREATE.{config['name']}", msgspec.json.encode(config))
        except BusRefused as error:
            if error.err_code != _NAME_IN_USE:
                raise
