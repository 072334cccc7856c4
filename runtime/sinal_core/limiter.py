"""Rate limits as token buckets: one bucket a tenant over all processes where Redis is there, one a
process where not.

A bucket holds a minute's worth, so a tenant may burst to its limit and sustains it afterwards. A
request larger than the bucket passes when the bucket is full and leaves it in debt: otherwise it
could never pass. To spare the hot path a round trip per request, a process takes a second's worth
from Redis at once and spends it itself.
"""

from __future__ import annotations

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sinal_core.aio.clock import MonotonicClock
from sinal_crds import trust

log = structlog.get_logger(__name__)

REDIS_TIMEOUT_S = 0.25
REDIS_REST_S = 5.0  # how long a failing Redis is left alone
CONNECTIONS = 16  # who finds all taken waits for one: that is not a failure of Redis

# KEYS[1] bucket; ARGV: tokens wanted, tokens a minute. Redis's own clock: processes need not agree
# on the time. Answers the wait in ms (0: granted). A full bucket grants anything, into debt.
_TAKE = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local cost, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or capacity, tonumber(kept[2]) or ms
tokens = math.min(capacity, tokens + math.max(0, ms - at) * capacity / 60000)
local needed = math.min(cost, capacity)
local wait = 0
if tokens >= needed then tokens = tokens - cost else wait = math.ceil((needed - tokens) * 60000 / capacity) end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(ms))
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - tokens) * 60000 / capacity) + 1000)
return wait
"""


class LocalLimiter:
    """Token buckets of this process."""

    def __init__(self, *, clock: MonotonicClock) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, as of

    async def take(self, bucket: str, cost: int, *, per_minute: int) -> float:
        """Take `cost` tokens; 0 when granted, else seconds to wait."""
        return self._take(bucket, cost, per_minute)

    def spend(self, bucket: str, cost: int, *, per_minute: int) -> bool:
        """Take `cost` tokens where that needs no waiting; False when none was taken."""
        return not self._take(bucket, cost, per_minute)

    def _take(self, bucket: str, cost: int, per_minute: int) -> float:
        capacity = float(max(1, per_minute))
        now = self._clock.monotonic()
        tokens, at = self._buckets.get(bucket, (capacity, now))
        tokens = min(capacity, tokens + (now - at) * capacity / 60)
        needed = min(float(cost), capacity)
        granted = tokens >= needed
        self._buckets[bucket] = (tokens - cost if granted else tokens, now)
        return 0.0 if granted else (needed - tokens) * 60 / capacity

    async def close(self) -> None:
        """Nothing is held."""


class RedisLimiter:
    """Token buckets shared over processes.

    Falls back to its own when Redis fails, and says so once.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        clock: MonotonicClock,
        prefix: str = "sinal:rate:",
        timeout_s: float = REDIS_TIMEOUT_S,
    ) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._clock = clock
        self._prefix = prefix
        self._script = redis.register_script(_TAKE)
        self._local = LocalLimiter(clock=clock)
        self._leases: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._rest_until = 0.0
        self._failing = False

    async def take(self, bucket: str, cost: int, *, per_minute: int) -> float:
        """Take `cost` tokens; 0 when granted, else seconds to wait."""
        # one at a time of a bucket: who waited finds what the one before took in advance, and need
        # not ask Redis
        async with self._locks.setdefault(bucket, asyncio.Lock()), self._turns:
            if self.spend(bucket, cost, per_minute=per_minute):
                return 0.0
            if self._rests():
                return await self._local.take(bucket, cost, per_minute=per_minute)
            try:
                return await self._lease(bucket, cost, max(1, per_minute))
            except (RedisError, OSError, TimeoutError) as error:
                self._fell(error)
                return await self._local.take(bucket, cost, per_minute=per_minute)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()

    async def _lease(self, bucket: str, cost: int, per_minute: int) -> float:
        held = self._leases.get(bucket, 0)
        share = max(0, per_minute // 60 - 1)  # beside the cost: a second's worth in all
        wait = await self._ask(bucket, cost - held + share, per_minute)
        # not enough for a second's worth: before anybody is refused, only what was asked for is
        # taken
        if wait and share:
            share, wait = 0, await self._ask(bucket, cost - held, per_minute)
        self._recovered()
        if wait:
            return wait / 1000
        self._leases[bucket] = share
        return 0.0

    async def _ask(self, bucket: str, cost: int, per_minute: int) -> int:
        async with asyncio.timeout(self._timeout_s):
            return int(await self._script(keys=[self._prefix + bucket], args=[cost, per_minute]))

    def spend(self, bucket: str, cost: int, *, per_minute: int) -> bool:
        """Take `cost` tokens of what was taken from Redis at once, or while Redis rests.

        False when none was taken.
        """
        held = self._leases.get(bucket, 0)
        if held < cost:
            return self._rests() and self._local.spend(bucket, cost, per_minute=per_minute)
        self._leases[bucket] = held - cost
        return True

    def _rests(self) -> bool:
        return self._clock.monotonic() < self._rest_until

    def _fell(self, error: Exception) -> None:
        self._rest_until = self._clock.monotonic() + REDIS_REST_S
        if not self._failing:
            self._failing = True
            log.warning(
                "limiter.local",
                error=trust.words(error),
                why="Redis fails: limits are kept per process",
            )

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            log.info("limiter.shared", why="Redis answers again")


def connect(
    redis_url: str | None, *, clock: MonotonicClock, timeout_s: float = REDIS_TIMEOUT_S
) -> LocalLimiter | RedisLimiter:
    """The limiter for a Redis URL, or the local one without.

    Nothing is opened before the first use.
    """
    if redis_url is None:
        return LocalLimiter(clock=clock)
    redis: Redis = Redis.from_url(
        redis_url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=CONNECTIONS,
    )
    return RedisLimiter(redis, clock=clock, timeout_s=timeout_s)
