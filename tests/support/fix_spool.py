"""Fixtures of the spool: a folder, entries, and a broker in memory that can be away, slow, full or
forgetful.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sinal_core.nats import BusUnavailable, Published
from sinal_core.nats.testing import MemoryBus
from sinal_hub.spool import Detour, Owner, SpoolEntry, SpoolLimits

SMALL = SpoolLimits(max_bytes=1 << 20, free_bytes=0, segment_bytes=4_096)


def entry(tenant: str, number: int, *, size: int = 20) -> SpoolEntry:
    """Entry `number` of a tenant, with a body of at least `size` bytes."""
    body = f"{tenant}-{number}".encode().ljust(size, b".")
    return SpoolEntry(
        tenant, f"t.{tenant}.in.lead", f"{tenant}:{number}", 1_789_997_600_000 + number, body
    )


@dataclass
class SpoolBroker:
    """What the replayer publishes to."""

    bus: MemoryBus = field(default_factory=lambda: MemoryBus("loja", "outra"))
    silent: bool = False  # connected, but no ack ever comes
    loses_acks: bool = False  # stores, and the ack does not arrive
    calls: int = 0

    async def publish(self, one: SpoolEntry, *, timeout_s: float) -> Published:
        """As the bus does, with this broker's faults."""
        self.calls += 1
        # As over a network: others may run before there is an answer.
        await asyncio.sleep(0)
        if self.silent:
            raise BusUnavailable("no answer within the time")
        ack = await self.bus.publish(one.subject, one.body, msg_id=one.msg_id, timeout_s=timeout_s)
        if self.loses_acks:
            raise BusUnavailable("the connection was lost before the broker answered")
        return ack

    def keys(self, tenant: str) -> list[str]:
        """Message ids that the broker has of a tenant, in its order."""
        return [one.msg_id for one in self.bus.stored if one.subject.split(".")[1] == tenant]


@dataclass
class SpoolWorld:
    """A folder and the broker beside it; open a detour over them as often as processes start."""

    folder: Path
    broker: SpoolBroker = field(default_factory=SpoolBroker)
    tenants: dict[str, Owner] = field(
        default_factory=lambda: {
            slug: Owner(f"uid-{slug}", f"ns/{slug}") for slug in ("loja", "outra")
        }
    )

    def segments(self) -> list[Path]:
        """Files on disk, oldest first."""
        return sorted(self.folder.glob("*.seg"))

    @asynccontextmanager
    async def running(
        self, *, limits: SpoolLimits = SMALL, **options: Any
    ) -> AsyncIterator[Detour]:
        """A started detour."""
        detour = Detour(
            self.folder,
            limits=limits,
            connected=lambda: self.broker.bus.connected,
            publish=self.broker.publish,
            request_provision=self.broker.bus.request_provision,
            tenant_of=self.tenants.get,
            **options,
        )
        await detour.start()
        try:
            yield detour
        finally:
            await detour.stop()


@pytest.fixture
def spool_world(tmp_path: Path) -> SpoolWorld:
    """An empty folder and a broker that works."""
    return SpoolWorld(tmp_path / "spool")
