"""Delivery to Meta as a role."""

from __future__ import annotations

import os
import secrets
import socket

from sinal_cli.roles.base import DRAIN_S, Background
from sinal_cli.roles.plan_role import StoreRole, StoreSettings, TracedSettings
from sinal_core.aio.periodic import PeriodicTask
from sinal_hub.dispatch.settings import DeliverySettings

EXPIRE_INTERVAL_S = 60.0
REMIND_INTERVAL_S = 10.0


class DispatchSettings(DeliverySettings, StoreSettings, TracedSettings):
    """What `sinal run dispatch` reads."""


class Dispatch(StoreRole[DispatchSettings]):
    """Delivers to Meta."""

    role = "dispatch"

    async def start(self) -> None:
        """Connect and work on every destination's lane."""
        from sinal_core.nats import Lanes, dispatch_lane
        from sinal_hub.dispatch.recovery import recovery, terms
        from sinal_hub.dispatch.worker import DispatchWorker
        from sinal_hub.meta.client import GraphClient
        from sinal_hub.store.delivery import SESSION, DeliveryStore
        from sinal_hub.store.tenant_status import DestinationHealthStore

        settings = self._settings
        self._trace("sinal-dispatch", settings)
        database = await self._database(settings.database_url, session=SESSION)
        bus, plans = await self._bus_and_plans("sinal-dispatch", database=database)
        graph = GraphClient(settings.graph_url, timeout_s=settings.graph_timeout_s)
        self._stack.push_async_callback(graph.close)
        # After a restart of a container host and process number are those of before: the token
        # tells the two processes apart.
        circuits = DestinationHealthStore(
            database, worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        )
        store = DeliveryStore(database)
        follower = recovery(
            store,
            bus,
            wake=lambda *key: lanes.wake(dispatch_lane(*key).id),
            try_now=lambda *key: worker.try_now(*key),  # noqa: PLW0108 - made below
        )
        worker = DispatchWorker(
            store,
            plans,
            graph,
            settings,
            tracer=self._tracer,
            circuits=circuits,
            herald=follower.told,
        )
        lanes = Lanes(
            bus,
            worker.handle,
            batch=1_000,
            concurrency=settings.dispatch_concurrency,
            in_flight=settings.lane_in_flight,
            ack_wait_s=settings.lane_ack_wait_s,
        )
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("dispatch")))
        # after the lanes, so that those it calls are there
        plans.subscribe(lambda snapshot: follower.follow(terms(snapshot)))
        await follower.start()
        background = Background()
        self._stack.push_async_callback(background.stop)
        background.run(lanes.run())
        background.run(follower.run())
        background.schedule(
            PeriodicTask("dispatch recovery", REMIND_INTERVAL_S, lambda _: follower.remind()),
            PeriodicTask("dispatch sweep", EXPIRE_INTERVAL_S, lambda _: worker.sweep()),
        )
        self._stack.push_async_callback(lanes.drain, DRAIN_S)
