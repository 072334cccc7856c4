"""A platform of separate processes for tests: embedded services, the sandbox, and each role as
`sinal run ROLE`.

Any process can be killed with SIGKILL and started again while the rest goes on, as in a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from sinal_cli.embedded.nats import Nats
from sinal_cli.embedded.postgres import Postgres
from sinal_cli.embedded.process import Service, free_port, port_open
from sinal_cli.embedded.redis import Redis
from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load
from sinal_hub.store.migrate import migrate

ADMIN_KEY = "sak_for_tests"
ROLES = ("operator", "ingest", "match", "dispatch", "api", "housekeeping")
PUBLISHED = ("ingest", "api")  # they have another port for probes and scrapers


class Platform:
    """Everything of a stack, one process each."""

    def __init__(
        self,
        folder: Path,
        manifests: Sequence[Path],
        *,
        settings: dict[str, str] | None = None,
        ingest_host: str = "127.0.0.1",
        sandbox: Sequence[str] = (),
        roles: Sequence[str] = ROLES,
    ) -> None:
        self.folder, self.manifests, self._ingest_host = folder, list(manifests), ingest_host
        self._starts = roles
        self._extra = settings or {}
        log = folder / "logs"
        # Processes are killed here, never the machine: what was written stays in the kernel's
        # cache.
        self.postgres = Postgres(
            folder / "postgres", password="pg", log=log / "postgres.log", settings={"fsync": "off"}
        )
        self.nats = Nats(folder / "nats", password="nats", log=log / "nats.log")
        self.redis = Redis(folder / "redis", password="redis", log=log / "redis.log")
        self.ports = {name: free_port() for name in (*ROLES, "sandbox", *map(_probes, PUBLISHED))}
        self.sandbox = self._python(
            "sandbox", "sinal_sandbox", "--port", str(self.ports["sandbox"]), *sandbox
        )
        self.roles: dict[str, Service] = {}
        self.minted: Any = {}

    @property
    def ingest(self) -> str:
        """Base URL of ingest."""
        return f"http://{self._ingest_host}:{self.ports['ingest']}"

    @property
    def api(self) -> str:
        """Base URL of the operations API."""
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def sandbox_url(self) -> str:
        """Base URL of the sandbox."""
        return f"http://127.0.0.1:{self.ports['sandbox']}"

    def url(self, role: str) -> str:
        """Where a role answers probes and scrapers."""
        return (
            f"http://{self._host(role)}:{self.ports[_probes(role) if role in PUBLISHED else role]}"
        )

    def webhook(self, tenant: str, integration: str) -> str:
        """Webhook URL of an integration."""
        hook = self.minted[tenant]["webhooks"][integration]
        return f"{self.ingest}/t/{tenant}/api/v1/webhooks/{hook['gateway']}/{hook['token']}"

    async def start(self) -> None:
        """Start all and wait until ingest and API, as far as they are among the roles, answer
        ready.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sandbox.spawn()
        await asyncio.gather(self.postgres.start(), self.nats.start(), self.redis.start())
        await migrate(self.postgres.url())
        keyring = Keyring.generate()
        (self.folder / "keyring.json").write_bytes(keyring.to_json())
        loaded = load(self.manifests)
        self.minted = compile(loaded.objects, loaded.secrets, keyring).minted
        for role in self._starts:
            self.start_role(role)
        await self.sandbox.ready(lambda: port_open(self.ports["sandbox"]))
        for role in {"ingest", "api"}.intersection(self._starts):
            await self.roles[role].ready(lambda role=role: self._ready(role))  # type: ignore[misc]

    async def stop(self) -> None:
        """Stop all."""
        await asyncio.gather(*(service.stop() for service in self.roles.values()))
        await asyncio.gather(
            self.postgres.stop(), self.nats.stop(), self.redis.stop(), self.sandbox.stop()
        )

    def start_role(self, role: str) -> None:
        """Start a role's process, new or again."""
        files = (
            [option for path in self.manifests for option in ("--file", str(path))]
            if role == "operator"
            else []
        )
        self.roles[role] = self._python(
            role, "sinal_cli", "run", role, *files, env=self._environment(role)
        )
        self.roles[role].spawn()

    def kill_role(self, role: str) -> None:
        """kill -9."""
        self.roles[role].kill()

    async def ledger(self, session: aiohttp.ClientSession) -> dict[str, int]:
        """Totals of the ledger."""
        async with session.get(f"{self.api}/api/v1/ledger", headers=self.admin) as answer:
            totals: dict[str, int] = await answer.json()
            return totals

    async def settled(
        self, session: aiohttp.ClientSession, *, accepted: int, timeout_s: float = 180
    ) -> dict[str, int]:
        """The ledger once at least so many are accepted and none is in flight.

        Raises TimeoutError with the totals.
        """
        totals: dict[str, int] = {}
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(aiohttp.ClientError):
                totals = await self.ledger(session)
                if totals["accepted"] >= accepted and totals["in_flight"] == 0:
                    return totals
            await asyncio.sleep(0.25)
        raise TimeoutError(
            f"not settled after {timeout_s} s: {totals}, expected {accepted} accepted"
        )

    @property
    def admin(self) -> dict[str, str]:
        """Headers of the admin key."""
        return {"Authorization": f"Bearer {ADMIN_KEY}"}

    def _environment(self, role: str) -> dict[str, str]:
        return {
            **os.environ,
            "SINAL_NATS_URL": self.nats.url,
            "SINAL_DATABASE_URL": self.postgres.url(),
            "SINAL_REDIS_URL": self.redis.url,
            "SINAL_KEYRING_FILE": str(self.folder / "keyring.json"),
            "SINAL_GRAPH_URL": self.sandbox_url,
            "SINAL_HOST": self._host(role),
            "SINAL_PORT": str(self.ports[role]),
            "SINAL_METRICS_PORT": str(self.ports.get(_probes(role), 0)),
            "SINAL_ADMIN_KEY": ADMIN_KEY,
            **self._extra,
        }

    def _python(
        self, name: str, module: str, *arguments: str, env: dict[str, str] | None = None
    ) -> Service:
        log = self.folder / "logs" / f"{name}.log"
        return Service(name, [sys.executable, "-m", module, *arguments], log=log, env=env)

    def _host(self, role: str) -> str:
        return self._ingest_host if role == "ingest" else "127.0.0.1"

    async def _ready(self, role: str) -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.url(role)}/readyz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def _probes(role: str) -> str:
    return f"{role} probes"


@contextlib.asynccontextmanager
async def running(
    folder: Path, manifests: Sequence[Path], *, settings: dict[str, str] | None = None
) -> AsyncIterator[Platform]:
    """A started platform that is stopped at the end."""
    platform = Platform(folder, manifests, settings=settings)
    try:
        await platform.start()
        yield platform
    finally:
        await platform.stop()
