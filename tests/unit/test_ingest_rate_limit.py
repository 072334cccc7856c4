"""Token buckets of one process, and how the shared ones fall back to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from structlog.testing import capture_logs

from sinal_core.limiter import LocalLimiter, RedisLimiter

from tests.support.fix_ingest import Clock


async def test_bucket_holds_a_minute_and_refills_evenly() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock=clock)
    assert [await limiter.take("a", 1, per_minute=60) for _ in range(60)] == [0] * 60
    assert await limiter.take("a", 1, per_minute=60) == pytest.approx(1)
    assert await limiter.take("b", 1, per_minute=60) == 0
    clock.now += 1
    assert await limiter.take("a", 1, per_minute=60) == 0


async def test_request_larger_than_the_bucket_passes_once_and_is_paid_back() -> None:
    clock = Clock()
    limiter = LocalLimiter(clock=clock)
    assert await limiter.take("a", 500, per_minute=100) == 0
    assert await limiter.take("a", 1, per_minute=100) > 200  # 400 tokens of debt at 100 a minute
    clock.now += 600
    assert await limiter.take("a", 500, per_minute=100) == 0


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 30)), max_size=60), st.integers(1, 100))
async def test_no_window_of_time_gets_more_than_bucket_and_rate(
    steps: list[tuple[int, float]], rate: int
) -> None:
    clock = Clock(now=0)
    limiter = LocalLimiter(clock=clock)
    granted = 0
    for cost, pause in steps:
        if await limiter.take("a", cost, per_minute=rate) == 0:
            granted += cost
        clock.now += pause
    assert granted <= rate + clock.now * rate / 60 + 50  # and one request's debt


async def test_failing_redis_falls_back_to_the_process_and_says_so_once() -> None:
    clock = Clock()
    redis: Any = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    limiter = RedisLimiter(redis, clock=clock)
    with capture_logs() as lines:
        waits = []
        for _ in range(4):
            waits.append(await limiter.take("a", 1, per_minute=3))
            clock.now += 0.001
    await limiter.close()
    assert waits[:3] == [0, 0, 0] and waits[3] > 19
    assert [line["event"] for line in lines] == ["limiter.local"]


async def test_resting_redis_costs_no_wait_where_the_process_itself_grants() -> None:
    redis: Any = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    limiter = RedisLimiter(redis, clock=Clock())
    assert not limiter.spend("a", 1, per_minute=3)
    await limiter.take("a", 1, per_minute=3)
    assert [limiter.spend("a", 1, per_minute=3) for _ in range(3)] == [True, True, False]
    await limiter.close()
