"""Matching as a role."""

from __future__ import annotations

from sinal_cli.roles.base import DRAIN_S, Background
from sinal_cli.roles.plan_role import StoreRole, StoreSettings, TracedSettings
from sinal_core.aio.periodic import PeriodicTask
from sinal_core.nats.settings import LaneReaderSettings
from sinal_hub.matching.settings import MatchingSettings
from sinal_hub.readback.settings import ReadBackSettings

SWEEP_INTERVAL_S = 1.0
LANES_A_TRANSACTION = 128  # small tenants share one
BATCHES_A_LANE = 2  # one is published while the next is in its transaction


class MatchSettings(
    MatchingSettings, ReadBackSettings, LaneReaderSettings, StoreSettings, TracedSettings
):
    """What `sinal run match` reads."""


class Match(StoreRole[MatchSettings]):
    """Joins sales and clicks."""

    role = "match"

    async def start(self) -> None:
        """Connect and work on every tenant's incoming lane."""
        from sinal_core.nats import Lanes
        from sinal_hub.gateways import registry
        from sinal_hub.matching.worker import MatchWorker
        from sinal_hub.readback import GatewayApi, ReadBackWorker
        from sinal_hub.store.matching import MatchStore

        settings = self._settings
        self._trace("sinal-match", settings)
        database = await self._database(settings.database_url)
        bus, plans = await self._bus_and_plans("sinal-match", database=database)
        worker = MatchWorker(
            database,
            bus,
            plans,
            tracer=self._tracer,
            transactions=settings.match_concurrency,
            most=settings.match_batch,
        )
        api = GatewayApi(urls=settings.readback_urls, timeout_s=settings.readback_timeout_s)
        self._stack.push_async_callback(api.close)
        reading = ReadBackWorker(
            worker.handle,
            api=api,
            bus=bus,
            plans=plans,
            gateways=registry(),
            dead_letter=MatchStore(database).dead_letter,
        )
        lanes = Lanes(
            bus,
            reading.handle,
            batch=settings.match_batch,
            concurrency=LANES_A_TRANSACTION * settings.match_concurrency,
            in_flight=settings.lane_in_flight,
            lane_concurrency=BATCHES_A_LANE,
            only_full=True,
            ack_wait_s=settings.lane_ack_wait_s,
        )
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("match")))
        background = Background()
        self._stack.push_async_callback(background.stop)
        background.run(lanes.run())
        background.schedule(PeriodicTask("match sweep", SWEEP_INTERVAL_S, lambda _: worker.sweep()))
        self._stack.push_async_callback(lanes.drain, DRAIN_S)
