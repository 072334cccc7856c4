"""Roles of the platform: what each is made of, and one role as a process of its own (`sinal run ROLE`).

A role starts and stops as a whole. Its parts are wired here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from sinal_crds.sealing import Keyring
from sinal_runtime.settings import Settings

log = structlog.get_logger(__name__)

SWEEP_INTERVAL_S = 1.0
DRAIN_S = 3.0
PARTITION_INTERVAL_S = 3600.0


class Role(Protocol):
    """Something that runs until it is stopped."""

    async def start(self) -> None:
        """Return once it works."""
        ...

    async def stop(self) -> None:
        """Finish what is under way and release everything."""
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


class Ingest:
    """The HTTP edge."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings, self._keyring = settings, keyring
        self._stack = contextlib.AsyncExitStack()
        self.url = ""

    async def start(self) -> None:
        """Connect, read the plans, listen."""
        from sinal_runtime.bus import Bus
        from sinal_runtime.ingest.role import IngestServer
        from sinal_runtime.plans import Plans

        bus = await Bus.connect(self._settings.nats_url, name="sinal-ingest")
        self._stack.push_async_callback(bus.close)
        plans = Plans(bus, self._keyring)
        await plans.start()
        self._stack.push_async_callback(plans.stop)
        server = IngestServer(self._settings, bus, plans, keyring=self._keyring)
        await server.start()
        self._stack.push_async_callback(server.stop)
        self.url = server.url

    async def stop(self) -> None:
        """Finish requests, close."""
        await self._stack.aclose()


class Match:
    """Joins sales and clicks."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings, self._keyring = settings, keyring
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect and work on every tenant's incoming lane."""
        from sinal_runtime.bus import Bus, Lanes
        from sinal_runtime.matching.worker import MatchWorker
        from sinal_runtime.plans import Plans
        from sinal_runtime.store.database import Database

        settings = self._settings
        database = await Database.open(settings.database_url.get_secret_value())
        self._stack.push_async_callback(database.close)
        bus = await Bus.connect(settings.nats_url, name="sinal-match")
        self._stack.push_async_callback(bus.close)
        plans = Plans(bus, self._keyring)
        await plans.start()
        self._stack.push_async_callback(plans.stop)
        worker = MatchWorker(database, bus, plans)
        lanes = Lanes(
            bus,
            worker.handle,
            batch=settings.match_batch,
            concurrency=settings.match_concurrency,
            in_flight=settings.lane_in_flight,
        )
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("match")))
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.run(lanes.run())
        chores.every(SWEEP_INTERVAL_S, worker.sweep, what="match sweep")
        self._stack.push_async_callback(lanes.drain, DRAIN_S)

    async def stop(self) -> None:
        """Finish the batches under way, give the rest back."""
        await self._stack.aclose()


class Dispatch:
    """Delivers to Meta."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings, self._keyring = settings, keyring
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect and work on every destination's lane."""
        from sinal_runtime.bus import Bus, Lanes
        from sinal_runtime.dispatch.graph import GraphClient
        from sinal_runtime.dispatch.worker import DispatchWorker
        from sinal_runtime.plans import Plans
        from sinal_runtime.store.database import Database
        from sinal_runtime.store.delivery import DeliveryStore

        settings = self._settings
        database = await Database.open(settings.database_url.get_secret_value())
        self._stack.push_async_callback(database.close)
        bus = await Bus.connect(settings.nats_url, name="sinal-dispatch")
        self._stack.push_async_callback(bus.close)
        plans = Plans(bus, self._keyring)
        await plans.start()
        self._stack.push_async_callback(plans.stop)
        graph = GraphClient(settings.graph_url, timeout_s=settings.graph_timeout_s)
        self._stack.push_async_callback(graph.close)
        worker = DispatchWorker(DeliveryStore(database), plans, graph, settings)
        lanes = Lanes(
            bus,
            worker.handle,
            batch=1_000,
            concurrency=settings.dispatch_concurrency,
            in_flight=settings.lane_in_flight,
        )
        plans.subscribe(lambda snapshot: lanes.set(snapshot.lanes("dispatch")))
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.run(lanes.run())
        self._stack.push_async_callback(lanes.drain, DRAIN_S)

    async def stop(self) -> None:
        """Finish the requests under way, give the rest back."""
        await self._stack.aclose()


class Api:
    """The operations API."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self.url = ""

    async def start(self) -> None:
        """Connect and listen."""
        from sinal_runtime.api.app import build
        from sinal_runtime.server import HttpServer
        from sinal_runtime.store.database import Database
        from sinal_runtime.store.reading import EventReader

        settings = self._settings
        database = await Database.open((settings.api_database_url or settings.database_url).get_secret_value())
        self._stack.push_async_callback(database.close)
        app = build(EventReader(database), admin_key=settings.admin_key)
        server = HttpServer(app, host=settings.host, port=settings.port)
        await server.start()
        self._stack.push_async_callback(server.stop)
        self.url = server.url

    async def stop(self) -> None:
        """Finish requests, close."""
        await self._stack.aclose()


class Housekeeping:
    """Makes partitions ahead and drops those behind retention."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect and look after the tables."""
        from sinal_runtime.store.database import Database
        from sinal_runtime.store.partitions import maintain

        database = await Database.open(self._settings.database_url.get_secret_value(), min_size=1, max_size=2)
        self._stack.push_async_callback(database.close)
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.every(PARTITION_INTERVAL_S, lambda: maintain(database), what="partitions")

    async def stop(self) -> None:
        """Close."""
        await self._stack.aclose()


class Operator:
    """Provisions lanes and plans from manifests in files."""

    def __init__(self, settings: Settings, keyring: Keyring, *, files: Sequence[Path]) -> None:
        self._settings, self._keyring, self._files = settings, keyring, files
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Provision once, then keep it so."""
        from sinal_cli.provisioning import FileProvisioning

        provisioning = FileProvisioning(self._settings.nats_url, self._keyring, files=self._files)
        await provisioning.start()
        self._stack.push_async_callback(provisioning.stop)

    async def stop(self) -> None:
        """Close; what is provisioned stays."""
        await self._stack.aclose()


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
    from sinal_runtime.logs import configure

    settings = Settings()
    configure(level=settings.log_level, json=settings.log_json)
    known = [*DATA_PLANE, "operator"]
    if name not in known:
        complain(f"unknown role {name!r}; known: {', '.join(known)}")
        return 2
    if name == "operator" and not files:
        complain("the operator role needs manifests: sinal run operator --file examples")
        return 2
    try:
        keyring = Keyring.from_json(settings.keyring_file.read_bytes())
    except (OSError, ValueError) as error:
        complain(f"keyring {settings.keyring_file}: {error}; set SINAL_KEYRING_FILE")
        return 2
    role = Operator(settings, keyring, files=files) if name == "operator" else DATA_PLANE[name](settings, keyring)
    run_loop(_until_stopped(name, role))
    return 0


def run_loop(work: Awaitable[None]) -> None:
    """Run on uvloop."""
    import uvloop

    async def main() -> None:
        await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def _until_stopped(name: str, role: Role) -> None:
    stop = stop_event()
    try:
        await role.start()
        log.info("role.started", role=name, url=getattr(role, "url", None))
        await stop.wait()
    finally:
        await role.stop()
    log.info("role.stopped", role=name)


def stop_event() -> asyncio.Event:
    """Set by SIGTERM and by Ctrl-C."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
