"""The edge as a role of a process: listens, and on the way out finishes what it has begun."""

from __future__ import annotations

import asyncio
import time

from sinal_crds.keyring import Keyring
from sinal_runtime.bus.client import Bus
from sinal_runtime.bus.quarantine import QuarantineBucket
from sinal_runtime.ingest import app, limiter, ports
from sinal_runtime.ingest.protocol import Guarded
from sinal_runtime.ingest.quarantine import SealedQuarantine
from sinal_runtime.server import HttpServer
from sinal_runtime.settings import Settings


class IngestServer:
    """One listener of the edge in a running event loop; port 0 takes a free one."""

    def __init__(self, settings: Settings, bus: Bus, plans: ports.Plans, *, keyring: Keyring) -> None:
        self._limiter = limiter.connect(settings.redis_url, clock=time)
        self._drain_s = settings.drain_s
        self._edge = app.build(
            bus=bus,
            plans=plans,
            limiter=self._limiter,
            quarantine=SealedQuarantine(bucket=QuarantineBucket(bus), keyring=keyring),
            settings=settings,
        )
        self._server = HttpServer(self._edge, host=settings.host, port=settings.port, protocol=Guarded)

    @property
    def url(self) -> str:
        """Base URL, once started."""
        return self._server.url

    async def start(self) -> None:
        """Listen; raises server.ListenError."""
        await self._server.start()

    async def stop(self) -> None:
        """Turn unready, take no new connection, finish requests under way within the server's grace."""
        self._edge.health.drain()
        await asyncio.sleep(self._drain_s)
        await self._server.stop()
        await self._limiter.close()
