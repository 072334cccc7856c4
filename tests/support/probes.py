"""Where an edge that runs in a test's own process tells how it is, as `sinal run ingest` does on a
port of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from sinal_core.http import health
from sinal_core.http.readiness import Readiness
from sinal_core.http.server import HttpServer
from sinal_hub.ingest.server import IngestServer


class ProbedClient(httpx.AsyncClient):
    """A client of an edge that also knows its probes."""

    def __init__(self, url: str, probes: str, *, timeout: float = 60) -> None:
        super().__init__(base_url=url, timeout=timeout)
        self.probes = probes

    async def readyz(self) -> httpx.Response:
        """What `/readyz` answers."""
        return await self.get(f"{self.probes}/readyz")

    async def told(self) -> dict[str, Any]:
        """What it says."""
        found: dict[str, Any] = (await self.readyz()).json()
        return found


@asynccontextmanager
async def probed(server: IngestServer) -> AsyncIterator[str]:
    """The URL of the probes of a started edge."""

    async def standing() -> Readiness:
        return server.health.standing()

    listener = HttpServer(
        health.build(standing, observe=server.health.observe), host="127.0.0.1", port=0
    )
    await listener.start()
    try:
        yield listener.url
    finally:
        await listener.stop()
