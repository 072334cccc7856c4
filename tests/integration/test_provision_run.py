"""The provisioner's loop: back at once after the broker was away, and at hand when a worker misses
its lane.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from nats.aio.client import Client

from sinal_core.nats import Bus, Lane, Lanes, Message, match_lane
from sinal_core.nats.errors import BusError
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_operator.provision import Provisioner, Report

from tests.support.eventually import eventually
from tests.support.fix_plans import make_plan
from tests.support.nats_process import NatsProcess

INTERVAL_S = 120.0  # of the drift loop: longer than any wait here, so that it is not what heals
Run = Callable[..., contextlib.AbstractAsyncContextManager[list[Report]]]


@pytest.fixture
def run(client: Client, keyring: Keyring) -> Run:
    """Run a provisioner for the length of a block."""

    @contextlib.asynccontextmanager
    async def running(
        *plans: TenantPlan, interval_s: float = INTERVAL_S
    ) -> AsyncIterator[list[Report]]:
        reports: list[Report] = []
        provisioner = Provisioner(client, keyring)
        task = asyncio.create_task(
            provisioner.run(lambda: plans, interval_s, on_report=reports.append)
        )
        try:
            yield reports
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return running


async def test_it_starts_at_once_and_repairs_at_its_interval(client: Client, run: Run) -> None:
    async with run(make_plan("loja", "pixel"), interval_s=0.3) as reports:
        await eventually(lambda: len(reports) >= 1)
        assert reports[0].slugs("created") == ("loja",)
        await client.jetstream().delete_consumer("T-loja", "dispatch-pixel")
        await eventually(
            lambda: any(
                "consumer dispatch-pixel created" in c for r in reports[1:] for c in r.changes
            )
        )


async def test_many_requests_of_workers_become_few_rounds(client: Client, run: Run) -> None:
    async with run(make_plan("loja", "pixel"), make_plan("other")) as reports:
        await eventually(lambda: len(reports) == 1)
        await client.jetstream().delete_consumer("T-loja", "match")
        for _ in range(200):
            await client.publish(names.PROVISION_SUBJECT, b"loja")
        await eventually(lambda: "loja: consumer match created" in reports[-1].changes)
        await asyncio.sleep(0.5)
        # how far apart a busy machine reads them is its affair; one each it is not
        assert len(reports) <= 20


@pytest.mark.parametrize("how", ["restart", "kill -9", "wipe"])
async def test_lanes_carry_on_within_seconds_of_the_brokers_return(
    bus: Bus, run: Run, nats_server: NatsProcess, how: str
) -> None:
    seen: set[bytes] = set()

    async def handler(lane: Lane, messages: list[Message]) -> None:
        for message in messages:
            seen.add(message.body)
            await message.ack()

    plans = [make_plan(f"loja-{n}", "pixel") for n in range(20)]
    async with run(*plans) as reports:
        await eventually(lambda: len(reports) == 1)
        lanes = Lanes(bus, handler, batch=50, concurrency=2, in_flight=100)
        lanes.set(match_lane(plan.slug) for plan in plans)
        task = asyncio.create_task(lanes.run())
        await bus.publish("t.loja-7.in.click", b"before", msg_id="1")
        await eventually(lambda: b"before" in seen)
        if how == "wipe":
            await asyncio.to_thread(nats_server.wipe)
        elif how == "restart":
            await asyncio.to_thread(nats_server.restart)
        else:
            nats_server.kill()
            await asyncio.sleep(1.5)
            await asyncio.to_thread(nats_server.start)
        for plan in plans:
            await published(bus, f"t.{plan.slug}.in.click", plan.slug.encode())
        await eventually(
            lambda: {plan.slug.encode() for plan in plans} <= seen, timeout_s=INTERVAL_S / 2
        )
        await lanes.drain(30)
        await asyncio.wait_for(task, 60)


async def published(bus: Bus, subject: str, body: bytes) -> None:
    """Publish as a spool does: until the broker has it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(BusError):
                await bus.publish(subject, body, msg_id=subject, timeout_s=5)
                return
            await asyncio.sleep(0.05)
