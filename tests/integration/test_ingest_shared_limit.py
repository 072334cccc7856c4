"""Rate limits that several processes share through Redis, and live without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sinal_cli.embedded.redis import Redis as RedisServer
from sinal_core import limiter
from sinal_core.limiter import RedisLimiter


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A running redis-server."""
    server = RedisServer(tmp_path / "redis", password="test", log=tmp_path / "redis.log")
    await server.start()
    yield server
    await server.stop()


Open = Callable[[float], RedisLimiter]
PATIENT_S = 20.0  # where the test is not about a slow Redis, a slow machine shall not look like one


@pytest.fixture
async def opened(redis_server: RedisServer) -> AsyncIterator[Open]:
    """Opens limiters of one Redis, as processes of their own would, and closes them."""
    limiters: list[RedisLimiter] = []

    def one(timeout_s: float) -> RedisLimiter:
        found = limiter.connect(redis_server.url, clock=time, timeout_s=timeout_s)
        assert isinstance(found, RedisLimiter)
        limiters.append(found)
        return found

    yield one
    for found in limiters:
        await found.close()


async def test_two_processes_share_one_bucket(opened: Open) -> None:
    both = opened(PATIENT_S), opened(PATIENT_S)
    waits = [await both[n % 2].take("loja:events", 1, per_minute=6) for n in range(8)]
    assert waits[:6] == [0] * 6
    assert 0 < waits[7] <= 20


async def test_large_limits_cost_few_round_trips_and_stay_true(opened: Open) -> None:
    one = opened(PATIENT_S)
    started = time.monotonic()
    waits = await asyncio.gather(
        *(one.take("loja:events", 1, per_minute=6_000) for _ in range(6_500))
    )
    refilled = (time.monotonic() - started) * 6_000 / 60
    assert 6_000 <= waits.count(0) <= 6_000 + refilled + 1
    info = await one._redis.info("commandstats")
    assert info["cmdstat_evalsha"]["calls"] < 1_200


async def test_batch_beyond_the_bucket_goes_into_debt(opened: Open) -> None:
    one = opened(PATIENT_S)
    assert await one.take("loja:events", 500, per_minute=100) == 0
    assert await one.take("loja:events", 1, per_minute=100) > 200


async def test_lost_redis_costs_one_short_wait_and_no_request(
    redis_server: RedisServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(limiter.REDIS_TIMEOUT_S)
    assert await one.take("loja:events", 1, per_minute=60) == 0
    await redis_server.stop()
    monkeypatch.setattr(limiter, "REDIS_REST_S", 600)
    ask, asked = one._ask, 0

    async def counted(bucket: str, cost: int, per_minute: int) -> int:
        nonlocal asked
        asked += 1
        return await ask(bucket, cost, per_minute)

    monkeypatch.setattr(one, "_ask", counted)
    assert [await one.take("loja:events", 1, per_minute=60) for _ in range(20)] == [0] * 20
    assert asked <= 1


async def test_many_tenants_at_once_are_no_failure_of_redis(opened: Open) -> None:
    """More tenants than connections asked at the same moment made it look lost: limits were a
    process's own then.
    """
    both = opened(PATIENT_S), opened(PATIENT_S)
    tenants = [f"loja-{number}:events" for number in range(8 * limiter.CONNECTIONS)]
    first, second = [
        await asyncio.gather(*(one.take(bucket, 1, per_minute=1) for bucket in tenants))
        for one in both
    ]
    assert not any(first)
    assert all(wait > 0 for wait in second)
