"""What housekeeping asks of the rooms beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sinal_core.nats.client import Outgoing, Published
from sinal_core.nats.errors import BusError
from sinal_hub.model.events import Forget


class Bus(Protocol):
    """Publishing, and looking into streams; `nats.client.Bus` in production."""

    @property
    def connected(self) -> bool: ...

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
    ) -> Published: ...

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Published | BusError]: ...

    def request_provision(self, slug: str | None = None) -> None: ...

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = 5.0) -> bytes: ...

    async def send(self, subject: str, body: bytes = b"", *, reply: str = "") -> bool: ...


class Spools(Protocol):
    """The disks of the edge's processes."""

    async def erase(self, wanted: Forget) -> None:
        """Let every process take this person out of its spool.

        Those that are away are caught by matching's marks.
        """
        ...
