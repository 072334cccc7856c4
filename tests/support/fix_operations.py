"""The operations API over a real PostgreSQL, called in process; matching works beside it on the same database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from sinal_crds.plan import TenantPlan
from sinal_runtime.api.app import Parts, build
from sinal_runtime.bus.depth import Depth
from sinal_runtime.plans.testing import StaticPlans
from sinal_runtime.store.database import Database

from tests.support.fix_matching import MemoryPublisher, Room, tenant_plan

ADMIN_KEY = "sak_of_the_platform"


class ApiBus(MemoryPublisher):
    """A broker that remembers, and tells what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Depth] = []
        self.consumers = ["match", "dispatch-pixel"]

    async def depths(self) -> list[Depth]:
        return list(self.waiting)

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = 5.0) -> bytes:
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
        self, method: str, path: str, *, key: str = ADMIN_KEY, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """One request."""
        async with self.client(key) as client:
            return await client.request(method, path, headers=headers, **options)

    async def key(self, *, tenant: str | None = "loja", role: str = "operator") -> str:
        """A new key."""
        made = await self.call("POST", "/api/v1/keys", json={"tenant": tenant, "role": role, "name": "a test's"})
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
