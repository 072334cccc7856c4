"""Roles of the platform: what each is made of, and one role as a process of its own (`sinal run ROLE`).

A role starts and stops as a whole. Its parts are wired here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog
from pydantic import SecretStr

from sinal_crds.keyring import Keyring
from sinal_runtime import collector
from sinal_runtime.server import HttpServer
from sinal_runtime.settings import Settings

if TYPE_CHECKING:
    from sinal_runtime.bus import Bus
    from sinal_runtime.plans import Plans
    from sinal_runtime.plans.cache import PlanCache
    from sinal_runtime.store.database import Database
    from sinal_runtime.tracing import Tracer

log = structlog.get_logger(__name__)

SWEEP_INTERVAL_S = 1.0
LANES_A_TRANSACTION = 32  # of matching: small tenants share one
EXPIRE_INTERVAL_S = 60.0
DRAIN_S = 3.0
CONNECT_S = 2.0  # to a broker that an edge with plans of its own can do without
DEPTH_INTERVAL_S = 5.0
COVERAGE_INTERVAL_S = 60.0


class Role(Protocol):
    """Something that runs until it is stopped."""

    async def start(self) -> None:
        """Return once it works."""
        ...

    async def stop(self) -> None:
        """Finish what is under way and release everything."""
        ...

    async def readiness(self) -> Mapping[str, bool]:
        """Each dependency by name, and whether it answers."""
        ...


class Chores:
    """Tasks of a role: supervised, cancelled together."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Awaitable[None]) -> None:
        """Run something that never returns by itself."""

        async def wrapped() -> None:
            await work

        self._tasks.append(asyncio.create_task(wrapped()))

    def every(self, seconds: float, work: Callable[[], Awaitable[object]], *, what: str) -> None:
        """Run something again and again; a failure is logged and does not end it."""

        async def loop() -> None:
            while True:
                try:
                    await work()
                except Exception as error:
                    log.warning("chore.failed", what=what, error=type(error).__name__)
                await asyncio.sleep(seconds)

        self._tasks.append(asyncio.create_task(loop()))

    async def stop(self) -> None:
        """Cancel all and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


class Base:
    """What all roles share: settings, things to release at the end in reverse order, dependencies."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        from sinal_runtime import metrics

        metrics.begin(tenants=settings.metrics_tenants)
        self._settings, self._keyring = settings, keyring
        self._stack = contextlib.AsyncExitStack()
        self._checks: dict[str, Callable[[], Awaitable[bool]]] = {}
        self._tracer: Tracer | None = None

    async def stop(self) -> None:
        """Finish what is under way, release everything."""
        await self._stack.aclose()

    async def readiness(self) -> Mapping[str, bool]:
        """Each dependency by name, and whether it answers."""
        return {name: await check() for name, check in self._checks.items()}

    def _trace(self, service: str) -> None:
        """Trace what the role does, where a collector is set; before anything that shall be traced is made."""
        from sinal_runtime.tracing import connect

        self._tracer = connect(self._settings.otlp_endpoint, service=service, ratio=self._settings.trace_ratio)
        if self._tracer is not None:
            self._stack.push_async_callback(self._tracer.close)

    async def _bus_and_plans(self, name: str, *, cache: PlanCache | None = None) -> tuple[Bus, Plans]:
        """Connected, with the plans read; with a cache of them the broker may be away."""
        from sinal_runtime.bus import Bus
        from sinal_runtime.plans import Plans

        wait_s = CONNECT_S if cache is not None and cache.exists else None
        bus = await Bus.connect(self._settings.nats_url, name=name, wait_s=wait_s, tracer=self._tracer)
        self._stack.push_async_callback(bus.close)
        plans = Plans(bus, self._keyring, cache=cache)
        await plans.start()
        self._stack.push_async_callback(plans.stop)

        async def connected() -> bool:
            return bus.connected

        self._checks["nats"] = connected
        return bus, plans

    async def _database(
        self, url: SecretStr, *, max_size: int = 10, session: Mapping[str, str] | None = None
    ) -> Database:
        from sinal_runtime.store.database import Database

        database = await Database.open(
            url.get_secret_value(), min_size=1, max_size=max_size, session=session, tracer=self._tracer
        )
        self._stack.push_async_callback(database.close)
        self._checks["postgres"] = database.ping
        return database


class Ingest(Base):
    """The HTTP edge."""

    url = ""

    async def start(self) -> None:
        """Connect, read the plans, listen."""
        from sinal_runtime.housekeeping import spools
        from sinal_runtime.ingest.role import IngestServer
        from sinal_runtime.plans.cache import PlanCache

        self._trace("sinal-ingest")
        folder = self._settings.spool_dir
        cache = None if folder is None else PlanCache(folder / "plans.json")
        bus, plans = await self._bus_and_plans("sinal-ingest", cache=cache)
        server = IngestServer(self._settings, bus, plans, keyring=self._keyring, tracer=self._tracer)
        await server.start()
        self._stack.push_async_callback(server.stop)
        if server.detour is not None:
            await spools.obey(bus, server.detour)
        self.url = server.url


class Match(Base):
    """Joins sales and clicks."""

    async def start(self) -> None:
        """Connect and work on every tenant's incoming lane."""
        from sinal_runtime.bus import Lanes
        from sinal_runtime.gateways import registry
        from sinal_runtime.matching.worker import MatchWorker
        from sinal_runtime.readback import GatewayApi, ReadBackWorker
        from sinal_runtime.store.matching import MatchStore

        settings = self._settings
        self._trace("sinal-match")
        database = await self._database(settings.database_url)
        bus, plans = await self._bus_and_plans("sinal-match")
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
            ack_wait_s=settings.lane_ack_wait_s,
        )
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("match")))
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.run(lanes.run())
        chores.every(SWEEP_INTERVAL_S, worker.sweep, what="match sweep")
        self._stack.push_async_callback(lanes.drain, DRAIN_S)


class Dispatch(Base):
    """Delivers to Meta."""

    async def start(self) -> None:
        """Connect and work on every destination's lane."""
        from sinal_runtime.bus import Lanes
        from sinal_runtime.dispatch.graph import GraphClient
        from sinal_runtime.dispatch.worker import DispatchWorker
        from sinal_runtime.store.delivery import SESSION, DeliveryStore

        settings = self._settings
        self._trace("sinal-dispatch")
        database = await self._database(settings.database_url, session=SESSION)
        bus, plans = await self._bus_and_plans("sinal-dispatch")
        graph = GraphClient(settings.graph_url, timeout_s=settings.graph_timeout_s)
        self._stack.push_async_callback(graph.close)
        worker = DispatchWorker(DeliveryStore(database), plans, graph, settings, tracer=self._tracer)
        lanes = Lanes(
            bus,
            worker.handle,
            batch=1_000,
            concurrency=settings.dispatch_concurrency,
            in_flight=settings.lane_in_flight,
            ack_wait_s=settings.lane_ack_wait_s,
        )
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("dispatch")))
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.run(lanes.run())
        chores.every(EXPIRE_INTERVAL_S, worker.sweep, what="dispatch sweep")
        self._stack.push_async_callback(lanes.drain, DRAIN_S)


class Api(Base):
    """The operations API."""

    url = ""

    async def start(self) -> None:
        """Connect and listen."""
        from sinal_runtime.api.app import Parts, build
        from sinal_runtime.api.health import dependencies
        from sinal_runtime.api.sink import FolderSink
        from sinal_runtime.api.tokens import GraphTokens

        settings = self._settings
        database = await self._database(settings.api_database_url or settings.database_url)
        bus, plans = await self._bus_and_plans("sinal-api")
        self._checks = dependencies(database, bus, plans, redis_url=settings.redis_url)
        folder = settings.manifest_folder
        app = build(
            Parts(
                database,
                bus,
                plans,
                settings.admin_key,
                checks=self._checks,
                sink=None if folder is None else FolderSink(folder),
                tokens=GraphTokens(settings.graph_url),
                streams=bus,
                keyring=self._keyring,
            )
        )
        server = HttpServer(app, host=settings.host, port=settings.port)
        await server.start()
        self._stack.push_async_callback(server.stop)
        self.url = server.url


class Housekeeping(Base):
    """Partitions, retention, rollups, lost messages, erasures, the ledger's check; queues and signals for metrics."""

    async def start(self) -> None:
        """Connect and look after the tables."""
        from sinal_runtime.housekeeping.service import Housekeeper
        from sinal_runtime.observing.coverage import SignalCoverage
        from sinal_runtime.observing.queues import Queues
        from sinal_runtime.store.observing import ObservingStore

        settings = self._settings
        owner = await self._database(settings.maintenance_database_url or settings.database_url, max_size=2)
        database = await self._database(settings.database_url, max_size=6)
        bus, plans = await self._bus_and_plans("sinal-housekeeping")
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.run(Housekeeper(database, owner, bus, plans, self._keyring).run())
        chores.every(DEPTH_INTERVAL_S, Queues(bus, plans).look, what="queue depths")
        coverage = SignalCoverage(ObservingStore(database))
        chores.every(COVERAGE_INTERVAL_S, coverage.look, what="signal coverage")


class Operator(Base):
    """Provisions lanes and plans from manifests in files."""

    def __init__(self, settings: Settings, keyring: Keyring, *, files: Sequence[Path]) -> None:
        super().__init__(settings, keyring)
        self._files = files

    async def start(self) -> None:
        """Provision once, then keep it so."""
        from sinal_cli.provisioning import FileProvisioning

        provisioning = FileProvisioning(
            self._settings.nats_url,
            self._keyring,
            files=self._files,
            ack_wait_s=self._settings.lane_ack_wait_s,
        )
        await provisioning.start()
        self._stack.push_async_callback(provisioning.stop)


class ClusterOperator(Base):
    """Provisions lanes and plans from the custom resources of a Kubernetes cluster."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        super().__init__(settings, keyring)
        self._readiness: Callable[[], Mapping[str, bool]] = lambda: {"kubernetes": False, "nats": False}

    async def start(self) -> None:
        """Watch; what it waits for is told by readiness."""
        from sinal_operator.cluster import ClusterOperator as Kubernetes
        from sinal_operator.cluster import Options

        settings = self._settings
        options = Options(
            nats_url=settings.nats_url,
            ingest_url=settings.public_url,
            ack_wait_s=settings.lane_ack_wait_s,
            replicas=settings.nats_replicas,
            deletion_patience_s=settings.deletion_patience_s,
        )
        operator = Kubernetes(self._keyring, options, on_exit=_end_this_process)
        await operator.start()
        self._stack.push_async_callback(operator.stop)
        self._readiness = operator.readiness

    async def readiness(self) -> Mapping[str, bool]:
        """The API server and NATS."""
        return self._readiness()


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


DATA_PLANE: dict[str, Callable[[Settings, Keyring], Role]] = {
    "ingest": Ingest,
    "match": Match,
    "dispatch": Dispatch,
    "api": Api,
    "housekeeping": Housekeeping,
}


def run_role(name: str, *, files: Sequence[Path]) -> int:
    """One role until SIGTERM or Ctrl-C; 2 for an unknown role, missing files or a bad keyring."""
    from sinal_cli.offline import complain
    from sinal_runtime.health import build
    from sinal_runtime.logs import configure
    from sinal_runtime.tracing import installed

    settings = Settings()
    configure(level=settings.log_level, json=settings.log_json)
    known = [*DATA_PLANE, "operator"]
    if name not in known:
        complain(f"unknown role {name!r}; known: {', '.join(known)}")
        return 2
    try:
        keyring = Keyring.from_json(settings.keyring_file.read_bytes())
    except (OSError, ValueError) as error:
        complain(f"keyring {settings.keyring_file}: {error}; set SINAL_KEYRING_FILE")
        return 2
    if settings.otlp_endpoint is not None and not installed():
        complain("SINAL_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install sinal[tracing]")
        return 2
    role = _operator(settings, keyring, files) if name == "operator" else DATA_PLANE[name](settings, keyring)
    health = None if hasattr(role, "url") else HttpServer(build(role.readiness), host=settings.host, port=settings.port)
    run_loop(_until_stopped(name, role, health))
    return 0


def _operator(settings: Settings, keyring: Keyring, files: Sequence[Path]) -> Role:
    """From files where there are some, else from the cluster that KUBECONFIG or the pod's account leads to."""
    return Operator(settings, keyring, files=files) if files else ClusterOperator(settings, keyring)


def migrate_database() -> int:
    """Apply what is missing and say so; 1 with a message when the database refuses."""
    from sinal_cli.offline import complain
    from sinal_runtime.store.errors import MigrationError
    from sinal_runtime.store.migrate import migrate

    applied: list[str] = []

    async def work() -> None:
        applied.extend(map(str, await migrate(Settings().database_url.get_secret_value())))

    try:
        run_loop(work())
    except MigrationError as error:
        complain(str(error))
        return 1
    print("\n".join(applied) or "nothing to do")
    return 0


def run_loop(work: Awaitable[None]) -> None:
    """Run on uvloop."""
    import uvloop

    async def main() -> None:
        await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def _until_stopped(name: str, role: Role, health: HttpServer | None) -> None:
    stop = stop_event()
    try:
        if health is not None:
            await health.start()
        await role.start()
        collector.tune()
        log.info("role.started", role=name, url=getattr(role, "url", None) or getattr(health, "url", None))
        await stop.wait()
    finally:
        await role.stop()
        if health is not None:
            await health.stop()
    log.info("role.stopped", role=name)


def stop_event() -> asyncio.Event:
    """Set by SIGTERM and by Ctrl-C."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
