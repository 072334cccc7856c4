"""Health and readiness that tell the truth: each dependency by name, and 503 when a write could not happen.

`/healthz` says that the process turns. `/readyz` asks PostgreSQL for the schema, the broker for its connection, Redis
where it is configured; a dependency that does not answer in time is one that does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.asyncio import Redis

from sinal_runtime.api.leaving import Leaving
from sinal_runtime.api.ports import Check
from sinal_runtime.bus.client import Bus
from sinal_runtime.plans import Plans
from sinal_runtime.store.database import Database
from sinal_runtime.store.migrate import load_migrations
from sinal_runtime.store.operations import OperationsStore

PATIENCE_S = 2.0
OPTIONAL = frozenset({"redis"})  # a limiter of the edge: everything works without it, so it is only told


def dependencies(database: Database, bus: Bus, plans: Plans, *, redis_url: str | None) -> dict[str, Check]:
    """The checks of a running API: can it write, are the tables of this release, does JetStream answer."""
    store, newest = OperationsStore(database), load_migrations()[-1].version

    async def postgres() -> bool:
        return (await store.schema()).writable

    async def migrations() -> bool:
        return (await store.schema()).version >= newest

    async def nats() -> bool:
        await bus.api("INFO")
        return True

    async def plans_loaded() -> bool:
        return plans.loaded

    async def redis() -> bool:
        async with Redis.from_url(redis_url or "") as client:
            return bool(await client.ping())

    checks: dict[str, Check] = {
        "postgres": postgres, "migrations": migrations, "nats": nats, "plans": plans_loaded,
    }  # fmt: skip
    return checks | ({"redis": redis} if redis_url else {})


async def ask(checks: Mapping[str, Check]) -> dict[str, bool]:
    """Every dependency at once, each with the same patience."""

    async def one(check: Check) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await check()
        except Exception:  # whatever it is, the dependency cannot be used
            return False

    answers = await asyncio.gather(*(one(check) for check in checks.values()))
    return dict(zip(checks, answers, strict=True))


def add(app: FastAPI, checks: Mapping[str, Check], leaving: Leaving) -> None:
    """Add the routes; they need no key and show no data."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz(response: Response) -> dict[str, Any]:
        answers = await ask(checks)
        works = all(fine for name, fine in answers.items() if name not in OPTIONAL)
        ready = works and not leaving.draining
        response.status_code = 200 if ready else 503
        status = "draining" if leaving.draining else "ready" if ready else "not ready"
        return {"status": status, **answers}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
