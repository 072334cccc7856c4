"""The operations API over a real PostgreSQL, called in process.

Matching works beside it on the same database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from sinal_api.app import Parts, build
from sinal_core.nats import Bus
from sinal_core.nats.depth import Depth
from sinal_core.nats.errors import LaneMissing
from sinal_core.plans.testing import StaticPlans
from sinal_core.postgres.database import Database
from sinal_crds import names, tenant_status
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_crds.tenant_status import ORPHANS_KEY, ObservedTenant
from sinal_hub.quarantine.keeping import SealedQuarantine
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.services.manifest_sink import FolderSink

from tests.support.fix_matching import MemoryPublisher, Room, opened, tenant_plan
from tests.support.nats_process import NatsProcess

Got = TypeVar("Got")
ADMIN_KEY = "sak_of_the_platform"


class ApiBus(MemoryPublisher):
    """A broker that remembers, and tells what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Depth] = []
        self.consumers = ["match", "dispatch-pixel"]
        self.facts: ObservedTenant | None = None  # what hangs of any tenant

    async def depths(self, *, ages: bool = False) -> list[Depth]:
        return list(self.waiting)

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = 5.0) -> bytes:
        if path.startswith("STREAM.MSG.GET"):
            if self.facts is None or ORPHANS_KEY in body.decode():
                raise LaneMissing(path)
            return msgspec.json.encode({"message": {"data": tenant_status.encode(self.facts)}})
        if path == "STREAM.LIST":
            return msgspec.json.encode({"total": 0, "streams": None})
        return msgspec.json.encode({"consumers": self.consumers})


@dataclass
class ApiRig:
    """An application, its database, its broker, and callers."""

    url: str
    database: Database
    app: FastAPI
    bus: ApiBus
    plans: StaticPlans
    room: Room

    @property
    def secret(self) -> SecretStr:
        """The platform's admin key, as settings hold it."""
        return SecretStr(ADMIN_KEY)

    def client(self, key: str = ADMIN_KEY) -> httpx.AsyncClient:
        """A caller with this key."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url="http://api",
            headers={"Authorization": f"Bearer {key}"},
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        key: str = ADMIN_KEY,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """One request."""
        async with self.client(key) as client:
            return await client.request(method, path, headers=headers, **options)

    async def key(self, *, tenant: str | None = "loja", role: str = "operator") -> str:
        """A new key."""
        made = await self.call(
            "POST", "/api/v1/keys", json={"tenant": tenant, "role": role, "name": "a test's"}
        )
        assert made.status_code == 201, made.text
        found: str = made.json()["key"]
        return found

    async def run(self, statement: str, *values: object) -> None:
        """Change the database beside the API."""
        async with self.database.transaction() as connection:
            await connection.execute(statement.encode(), values)

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows of a query, past every policy."""
        return await self.room.rows(query, *values)


def tenants() -> tuple[TenantPlan, ...]:
    """`loja` and its neighbour, which has everything under the same names."""
    loja = msgspec.structs.replace(tenant_plan(), name="loja")
    return loja, msgspec.structs.replace(loja, slug="outra", name="outra", uid="uid-2", funnels=())


@pytest.fixture
async def api_rig(room: Room) -> AsyncIterator[ApiRig]:
    """The operations API beside a match worker of tenant `loja`."""
    bus, plans = ApiBus(), StaticPlans(*tenants())
    app = build(Parts(room.database, bus, plans, SecretStr(ADMIN_KEY)))
    yield ApiRig(room.url, room.database, app, bus, plans, room)


class RunningApi:
    """The whole API over real PostgreSQL and NATS, on a loop of its own, so that Hypothesis can
    call it.
    """

    def __init__(self, url: str, nats_url: str, manifests: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.app: FastAPI = self.run(self._start(url, nats_url, FolderSink(manifests)))

    async def _start(self, url: str, nats_url: str, sink: FolderSink) -> FastAPI:
        self.room = await self._stack.enter_async_context(opened(url))
        self.bus = await Bus.connect(nats_url, name="test")
        self._stack.push_async_callback(self.bus.close)
        plans, keyring = StaticPlans(*tenants()), Keyring.generate()
        for slug in plans.snapshot.tenants:
            lane = {
                "name": names.stream(slug),
                "subjects": [names.tenant_subjects(slug)],
                "retention": "workqueue",
            }
            await self.bus.api(f"STREAM.CREATE.{lane['name']}", msgspec.json.encode(lane))
        self.sealed = SealedQuarantine(bucket=QuarantineBucket(self.bus), keyring=keyring)
        admin = SecretStr(ADMIN_KEY)
        parts = Parts(
            self.room.database, self.bus, plans, admin, sink=sink, streams=self.bus, keyring=keyring
        )
        return build(parts)

    def run(self, work: Coroutine[Any, Any, Got]) -> Got:
        """Do something on the application's loop."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def ask(
        self, method: str, path: str, *, key: str = ADMIN_KEY, **options: Any
    ) -> httpx.Response:
        """One request; a fault of the application is raised here."""
        headers = {"Authorization": f"Bearer {key}", **(options.pop("headers", None) or {})}

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path, headers=headers, **options)

        return self.run(call())

    def close(self) -> None:
        """End everything."""
        self.run(self._stack.aclose())
        self.loop.close()


@pytest.fixture
def running_api(postgres: str, nats_server: NatsProcess, tmp_path: Path) -> Iterator[RunningApi]:
    """An application that Hypothesis can call."""
    one = RunningApi(postgres, nats_server.url, tmp_path / "manifests")
    yield one
    one.close()
