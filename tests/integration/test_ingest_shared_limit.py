"""Rate limits that several processes share through Redis, and live without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sinal_cli.embedded.redis import Redis as RedisServer
from sinal_runtime.ingest import limiter
from sinal_runtime.ingest.limiter import RedisLimiter


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A running redis-server."""
    server = RedisServer(tmp_path / "redis", password="test", log=tmp_path / "redis.log")
    await server.start()
    yield server
    await server.stop()


def shared(server: RedisServer) -> RedisLimiter:
    found = limiter.connect(server.url, clock=time)
    assert isinstance(found, RedisLimiter)
    return found


async def test_two_processes_share_one_bucket(redis_server: RedisServer) -> None:
    both = shared(redis_server), shared(redis_server)
    waits = [await both[n % 2].take("loja:events", 1, per_minute=40) for n in range(42)]
    assert waits[:40] == [0] * 40
    assert all(0 < wait <= 3 for wait in waits[41:])
    for one in both:
        await one.close()


async def test_large_limits_cost_few_round_trips_and_stay_true(redis_server: RedisServer) -> None:
    one = shared(redis_server)
    waits = await asyncio.gather(*(one.take("loja:events", 1, per_minute=6_000) for _ in range(6_500)))
    granted = waits.count(0)
    assert 6_000 <= granted <= 6_300  # a minute's worth, and what refilled meanwhile
    info = await one._redis.info("commandstats")
    assert info["cmdstat_evalsha"]["calls"] < 1_200
    await one.close()


async def test_batch_beyond_the_bucket_goes_into_debt(redis_server: RedisServer) -> None:
    one = shared(redis_server)
    assert await one.take("loja:events", 500, per_minute=100) == 0
    assert await one.take("loja:events", 1, per_minute=100) > 200
    await one.close()


async def test_lost_redis_costs_one_short_wait_and_no_request(redis_server: RedisServer) -> None:
    one = shared(redis_server)
    assert await one.take("loja:events", 1, per_minute=60) == 0
    await redis_server.stop()
    started = time.monotonic()
    assert [await one.take("loja:events", 1, per_minute=60) for _ in range(20)] == [0] * 20
    assert time.monotonic() - started < 1
    await one.close()
