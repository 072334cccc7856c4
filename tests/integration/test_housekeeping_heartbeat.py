"""A heartbeat goes the way of an event and is none: it shows how long the way takes and is in no
report.
"""

from __future__ import annotations

import asyncio

from sinal_core.nats import Bus, Lanes, match_lane
from sinal_core.plans.testing import StaticPlans
from sinal_core.postgres.database import Database
from sinal_core.telemetry import metrics
from sinal_hub.matching.worker import MatchWorker
from sinal_hub.status.heartbeat import Heartbeat
from sinal_hub.store.housekeeping import HousekeepingStore
from sinal_hub.store.reading import EventFilter, EventReader

from tests.support.fix_bus import MakeTenant
from tests.support.fix_plans import make_plan


async def test_it_comes_through_broker_and_matching_into_postgresql(
    bus: Bus, make_tenant: MakeTenant, postgres: str
) -> None:
    await make_tenant("loja")
    await make_tenant("outra")
    plans = StaticPlans(make_plan("loja", "pixel"), make_plan("outra", "pixel"))
    async with await Database.open(postgres) as database:
        store = HousekeepingStore(database)
        heartbeat = Heartbeat(store, bus, plans)
        sent = [await heartbeat.send() for _ in range(3)]
        assert sent == ["loja", "outra", "loja"]  # they take turns
        assert await store.last_beat() is None
        worker = MatchWorker(database, bus, plans)
        lanes = Lanes(bus, worker.handle, batch=10, concurrency=2, in_flight=100)
        lanes.set([match_lane("loja"), match_lane("outra")])
        task = asyncio.create_task(lanes.run())
        try:
            async with asyncio.timeout(60):
                while (last := await store.last_beat()) is None or any(
                    d.pending for d in await bus.depths()
                ):
                    await asyncio.sleep(0.05)
        finally:
            await lanes.drain(2.0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert 0 < last.seconds < 30 and 0 <= last.age_s < 20
        await heartbeat.observe()
        assert metrics.HEARTBEAT_SECONDS._value.get() > 0
        reader = EventReader(database)
        assert (await reader.ledger()).accepted == 0
        assert (await reader.list_events(EventFilter())).events == []


async def test_without_tenants_there_is_nothing_to_send(bus: Bus, postgres: str) -> None:
    async with await Database.open(postgres) as database:
        assert await Heartbeat(HousekeepingStore(database), bus, StaticPlans()).send() is None
