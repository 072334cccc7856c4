"""The KV bucket of deliveries that nobody understood yet: `<slug>.<id>` -> sealed blob, gone after 30 days.

It is one bucket of the platform, not a lane of a tenant, and is made on first use where the provisioner has not. A blob
that is larger than a message is stored in parts `<slug>.<id>`, `<slug>.<id>.1`, …; the first is written last, so that a
delivery is there whole or not at all.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from sinal_crds.names import QUARANTINE_BUCKET
from sinal_runtime.bus.errors import BusRefused, LaneMissing

KEEP_S = 30 * 86_400
PART_BYTES = 512 * 1024  # well under the broker's default message limit of 1 MiB
_NAME_IN_USE = 10058  # the bucket exists with other settings: somebody configured it


class Broker(Protocol):
    """The parts of the bus that this needs."""

    async def publish(self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = ...) -> object: ...

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


class QuarantineBucket:
    """Writes blobs; reading is any KV client's."""

    def __init__(self, bus: Broker) -> None:
        self._bus = bus

    async def put(self, slug: str, blob_id: str, blob: bytes) -> None:
        """Store one blob durably; raises BusError."""
        parts = [blob[at : at + PART_BYTES] for at in range(0, len(blob), PART_BYTES)] or [b""]
        for number in range(len(parts) - 1, -1, -1):
            key = f"{slug}.{blob_id}" + (f".{number}" if number else "")
            await self._put(key, parts[number])

    async def _put(self, key: str, value: bytes) -> None:
        subject = f"$KV.{QUARANTINE_BUCKET}.{key}"
        try:
            await self._bus.publish(subject, value, msg_id=key)
        except LaneMissing:
            await self._create()
            await self._bus.publish(subject, value, msg_id=key)

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
