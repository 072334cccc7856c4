"""The platform as it runs in production, on one machine: each service and each role a process of
its own.

It is the platform of the tests with what they leave out: PostgreSQL that syncs its log,
housekeeping, partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
from bench.support import machine, world
from bench.support.arrivals import until
from bench.support.load import Load
from bench.support.traffic import Shop, Traffic, shops

from sinal_cli.embedded.postgres import Postgres

from tests.support.platform import Platform

# A server's PostgreSQL and not a laptop's: room in memory, and no checkpoint for each half GiB
# written.
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
SANDBOX_KEEP = 1_000_000  # events that stay queryable


class Bench(Platform):
    """A platform to measure."""

    def __init__(
        self, folder: Path, manifests: Path, *, settings: dict[str, str], warm: bool
    ) -> None:
        super().__init__(folder, [manifests], settings={"SINAL_TRUSTED_PROXIES": "1", **settings})
        self.postgres = Postgres(
            folder / "postgres",
            password="pg",
            log=folder / "logs" / "postgres.log",
            settings=POSTGRES,
        )
        keep = ("--keep", str(SANDBOX_KEEP), "--keep-mb", "4096")
        self.sandbox = self._python(
            "sandbox", "sinal_sandbox", "--port", str(self.ports["sandbox"]), *keep
        )
        self._warms_up = warm
        self.session: aiohttp.ClientSession

    @property
    def shops(self) -> list[Shop]:
        """Where each tenant's events go."""
        return shops(self.minted)

    async def start(self) -> None:
        """Start all.

        Returns once lanes are provisioned, workers listen and this week has its partitions.
        """
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120))
        await super().start()
        await until(self._partitions, 1, timeout_s=30)
        if self._warms_up:
            await self._warm()

    async def stop(self) -> None:
        """Stop all."""
        await self.session.close()
        await super().stop()

    def processes(self) -> dict[str, int]:
        """Process ids by role and service."""
        services = {"postgres": self.postgres.pid, "nats": self.nats.pid, "redis": self.redis.pid}
        return (
            {name: role.pid for name, role in self.roles.items() if role.running}
            | services
            | {"sandbox": self.sandbox.pid}
        )

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far by role and service."""
        return {name: machine.cpu_s(pid) for name, pid in self.processes().items()}

    def memory_mb(self) -> dict[str, float]:
        """Memory in MiB by role and service."""
        return {name: machine.memory_mb(pid) for name, pid in self.processes().items()}

    async def received(self) -> int:
        """Events that the sandbox has accepted."""
        async with self.session.get(f"{self.sandbox_url}/_sandbox/health") as answer:
            counters: dict[str, Any] = (await answer.json())["events"]
            return int(counters["received"])

    async def hang(self, pixel: str) -> None:
        """Let the sandbox answer no request of this pixel any more."""
        fault = {"faults": [{"kind": "hang", "pixel": pixel}]}
        async with self.session.post(f"{self.sandbox_url}/_sandbox/faults", json=fault) as answer:
            answer.raise_for_status()

    async def clear_sandbox(self) -> None:
        """Forget what the sandbox has."""
        async with self.session.delete(f"{self.sandbox_url}/_sandbox"):
            pass

    async def _partitions(self) -> int:
        async with await psycopg.AsyncConnection.connect(self.postgres.url()) as connection:
            found = await connection.execute(
                "select from pg_class where relname like 'dispatch_attempts_p%'"
            )
            return found.rowcount

    async def _warm(self) -> None:
        """Some events of each tenant through everything: what is measured after them is not a
        tenant's first event.
        """
        events = max(50, 2 * len(self.shops))
        load, seconds = (
            Load(Traffic(self.shops, run=f"w{uuid.uuid4().hex[:6]}").make),
            2 if events == 50 else 10,
        )
        await load.run(
            "127.0.0.1",
            self.ports["ingest"],
            connections=8,
            rate=events // seconds,
            seconds=seconds,
        )
        await until(self.received, events // seconds * seconds - load.failed, timeout_s=60)
        await self.clear_sandbox()


@contextlib.asynccontextmanager
async def running(
    *,
    tenants: int = 1,
    batch: int = 200,
    linger_ms: int = 5_000,
    warm: bool = True,
    settings: dict[str, str] | None = None,
) -> AsyncIterator[Bench]:
    """A started platform with so many tenants, gone at the end.

    `warm` needs the sandbox as Graph API.
    """
    with tempfile.TemporaryDirectory(prefix="sinal-bench-", ignore_cleanup_errors=True) as folder:
        path = world.write(
            Path(folder) / "bench.yaml", tenants=tenants, batch=batch, linger_ms=linger_ms
        )
        platform = Bench(Path(folder), path, settings=settings or {}, warm=warm)
        try:
            await platform.start()
            yield platform
        finally:
            await asyncio.shield(platform.stop())
