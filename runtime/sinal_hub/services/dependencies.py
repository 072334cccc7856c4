"""Whether the API can do its work: each dependency by name, and not ready when a write could not
happen.

`/healthz` says that the process turns, and is all that the API's own listener tells. Readiness asks
PostgreSQL for the schema, the broker for its connection, Redis where it is configured; what does
not answer in time does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from redis.asyncio import Redis

from sinal_core.http.drain import Drain
from sinal_core.http.readiness import Readiness, of_answers
from sinal_core.nats.client import Bus
from sinal_core.nats.jetstream import JetStream
from sinal_core.plans import Plans
from sinal_core.postgres.database import Database
from sinal_hub.services.ports import Check
from sinal_hub.store.migrate import load_migrations
from sinal_hub.store.schema import SchemaStore

PATIENCE_S = 2.0
# a limiter of the edge: everything works without it, so it is only told
OPTIONAL = frozenset({"redis"})


def dependencies(
    database: Database, bus: Bus, plans: Plans, *, redis_url: str | None
) -> dict[str, Check]:
    """The checks of a running API: can it write, are the tables of this release, does JetStream
    answer.
    """
    store, newest = SchemaStore(database), load_migrations()[-1].version

    async def postgres() -> bool:
        return (await store.read()).writable

    async def migrations() -> bool:
        # A newer database will do: during an upgrade pods of two releases work on one.
        return (await store.read()).version >= newest

    async def nats() -> bool:
        # A connection alone says little: a server without JetStream keeps nothing that is
        # published.
        await JetStream(bus.api).account()
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


async def standing(checks: Mapping[str, Check], leaving: Drain) -> Readiness:
    """Ready when a write could happen, and the process is not on its way out."""
    answers = await ask(checks)
    works = all(fine for name, fine in answers.items() if name not in OPTIONAL)
    return of_answers(answers, ready=works, draining=leaving.draining)
