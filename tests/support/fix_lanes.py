"""Lanes for the length of a block, what they are given and what they have left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from sinal_core.nats import Bus, Lane, Lanes, Outgoing, Published
from sinal_core.nats.lanes import Handler
from sinal_crds import names

from tests.support.eventually import PATIENCE_S

RunLanes = Callable[..., contextlib.AbstractAsyncContextManager[Lanes]]


@pytest.fixture
def run_lanes(bus: Bus) -> RunLanes:
    """Run lanes for the length of a block."""

    @contextlib.asynccontextmanager
    async def running(handler: Handler, *lanes: Lane, **options: float) -> AsyncIterator[Lanes]:
        settings: dict[str, float] = {"batch": 50, "concurrency": 2, "in_flight": 1_000} | options
        worker = Lanes(bus, handler, **settings)  # type: ignore[arg-type]
        worker.set(lanes)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.drain(60)
            await asyncio.wait_for(task, 60)

    return running


async def fill(bus: Bus, slug: str, count: int, *, prefix: str = "") -> None:
    """Publish numbered events of a tenant."""
    subject = names.in_subject(slug, "click")
    for start in range(0, count, 1_000):
        numbers = range(start, min(start + 1_000, count))
        results = await bus.publish_many(
            [Outgoing(subject, str(n).encode(), f"{prefix}{n}") for n in numbers]
        )
        assert all(isinstance(result, Published) for result in results)


async def settled(bus: Bus) -> None:
    """Return once no lane has any message: what the broker has thrown away it can't deliver
    again.
    """
    async with asyncio.timeout(PATIENCE_S):
        while await queued(bus):
            await asyncio.sleep(0.05)


async def queued(bus: Bus) -> int:
    """Messages that any lane still has."""
    return sum(depth.pending + depth.in_flight for depth in await bus.depths())
