"""What a role is, and what all roles share: settings, dependencies, things to release in reverse
order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

import structlog
from pydantic import SecretStr

from sinal_core.aio.periodic import PeriodicTask, Run, Scheduler
from sinal_core.settings import Settings
from sinal_crds.keyring import Keyring

if TYPE_CHECKING:
    from datetime import datetime

    from sinal_core.http.readiness import Readiness
    from sinal_core.nats import Bus
    from sinal_core.plans import Plans
    from sinal_core.plans.cache import PlanCache
    from sinal_core.postgres.database import Database
    from sinal_core.telemetry.tracing import Tracer
    from sinal_crds.hosts import ReservedHosts

log = structlog.get_logger(__name__)

T = TypeVar("T")

CONNECT_S = 2.0  # to a broker that an edge with plans of its own can do without
DRAIN_S = 3.0
ANOTHER_S = 5.0  # between two looks whether the database is the one it was
OPEN_S, RETRY_S = 5.0, 1.0  # a connection that takes longer is tried again


class BadSettings(Exception):
    """Settings that a role can't work with; the message names them and says what helps."""


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

    async def standing(self) -> Readiness:
        """Whether it can do its work, and what probes are told."""
        ...

    def observe(self) -> None:
        """Look at what its metrics tell of this moment."""
        ...


class Background:
    """Tasks of a role: cancelled together."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Awaitable[None]) -> None:
        """Run something that never returns by itself."""

        async def wrapped() -> None:
            await work

        self._tasks.append(asyncio.create_task(wrapped()))

    def schedule(self, *tasks: PeriodicTask) -> None:
        """Run tasks whenever they are due; a failure is logged and does not end them."""
        self.run(Scheduler(tasks, ended=_log_failure).run())

    async def stop(self) -> None:
        """Cancel all and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def _log_failure(run: Run) -> None:
    if run.error is not None:
        log.warning("chore.failed", what=run.task, error=type(run.error).__name__)


class Keyless:
    """What all roles share: settings, things to release at the end in reverse order,
    dependencies.
    """

    role: ClassVar[str] = ""  # as `sinal run` names it

    def __init__(self, settings: Settings) -> None:
        from sinal_core.telemetry import metrics

        metrics.begin(self.role or type(self).__name__.lower(), tenants=settings.metrics_tenants)
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._checks: dict[str, Callable[[], Awaitable[bool]]] = {}
        self._tracer: Tracer | None = None

    async def stop(self) -> None:
        """Finish what is under way, release everything."""
        await self._stack.aclose()

    async def readiness(self) -> Mapping[str, bool]:
        """Each dependency by name, and whether it answers."""
        return {name: await check() for name, check in self._checks.items()}

    async def standing(self) -> Readiness:
        """Whether it can do its work, and what probes are told."""
        from sinal_core.http.readiness import of_answers

        return of_answers(await self.readiness())

    def observe(self) -> None:
        """Look at what its metrics tell of this moment: nothing, where each is kept as it
        changes.
        """

    async def _bus(self, name: str, *, wait_s: float | None = None) -> Bus:
        """Connected; with `wait_s` after so long at most, and for ever trying."""
        from sinal_core.nats import Bus

        settings = self._settings
        bus = await Bus.connect(
            settings.nats_url,
            name=name,
            wait_s=wait_s,
            tracer=self._tracer,
            authority=settings.nats_authority,
        )
        self._stack.push_async_callback(bus.close)

        async def connected() -> bool:
            return bus.connected

        self._checks["nats"] = connected
        return bus

    def _trace(self, service: str) -> None:
        """Trace what the role does, where a collector is set.

        Before anything that shall be traced is made.
        """
        from sinal_core.telemetry.tracing import connect

        self._tracer = connect(
            self._settings.otlp_endpoint, service=service, ratio=self._settings.trace_ratio
        )
        if self._tracer is not None:
            self._stack.push_async_callback(self._tracer.close)


def reserved_hosts(settings: Settings) -> ReservedHosts:
    """Hosts that no Tenant may have, the same for the operator that compiles plans and the roles
    that read them.
    """
    from sinal_crds.hosts import ReservedHosts

    return ReservedHosts.of(
        settings.public_url, service=settings.routes_service, others=settings.reserved_hosts
    )


class Base(Keyless):
    """What the roles share that read plans, or the database."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        super().__init__(settings)
        self._keyring = keyring

    async def _bus_and_plans(
        self, name: str, *, cache: PlanCache | None = None, database: Database | None = None
    ) -> tuple[Bus, Plans]:
        """Connected, with the plans read; with a cache of them the broker may be away.

        With a database, only plans of Tenants whose the rows are.
        """
        from sinal_core.plans import Plans

        bus = await self._bus(
            name, wait_s=CONNECT_S if cache is not None and cache.exists else None
        )
        gate = None
        if database is not None:
            from sinal_core.nats.departures import DepartureBucket
            from sinal_hub.store.owners import OwnerStore
            from sinal_hub.store.plan_owners import OwnersGate

            gate = OwnersGate(OwnerStore(database), DepartureBucket(bus))
        plans = Plans(
            bus, self._keyring, cache=cache, reserved=reserved_hosts(self._settings), gate=gate
        )
        await plans.start()
        self._stack.push_async_callback(plans.stop)
        return bus, plans

    async def _database(
        self,
        url: SecretStr,
        *,
        max_size: int = 10,
        session: Mapping[str, str] | None = None,
        tenants: str | None = None,
    ) -> Database:
        """A pool, as soon as PostgreSQL answers and has the tables of this release: roles may start
        before both.

        With `tenants`, the URL of another login, what is done for a tenant has connections of that.
        """
        from sinal_core.postgres.database import Database
        from sinal_hub.store.migrate import require_schema

        async def connected(url: str, of_tenants: Database | None = None) -> Database:
            return await Database.open(
                url,
                max_size=max_size,
                open_s=OPEN_S,
                session=session,
                tenants=of_tenants,
                tracer=self._tracer,
            )

        async def opened() -> Database:
            async with contextlib.AsyncExitStack() as failed:
                of_tenants = None if tenants is None else await connected(tenants)
                if of_tenants is not None:
                    failed.push_async_callback(of_tenants.close)
                database = await connected(url.get_secret_value(), of_tenants)
                # what it found of roles may be other after the migrations
                failed.push_async_callback(database.close)
                await require_schema(database)
                failed.pop_all()
            return database

        database = await _patiently("postgres", opened)
        self._stack.push_async_callback(database.close)
        if self._settings.database_may_be_lost:
            self._begin_anew_over_another(database)
        self._checks["postgres"] = database.ping
        return database

    def _begin_anew_over_another(self, database: Database) -> None:
        """End, to be started again, once the database is another one: what was remembered of its
        rows is wrong.
        """
        from sinal_hub.store.rebuild import birth

        born: datetime | None = None

        async def look(_: datetime | None) -> None:
            nonlocal born
            at = await birth(database)
            if born is not None and at is not None and at != born:
                log.warning("role.begins_anew", why="PostgreSQL lost its data")
                # as the cluster would: it drains, and is started again
                os.kill(os.getpid(), signal.SIGTERM)
            born = at or born

        background = Background()
        background.schedule(PeriodicTask("another database", ANOTHER_S, look))
        self._stack.push_async_callback(background.stop)


async def _patiently(what: str, work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives, tried until the store is there.

    The log says what is waited for, and why.
    """
    from sinal_core.postgres.errors import StoreUnavailable

    while True:
        try:
            return await work()
        except StoreUnavailable as error:
            log.warning("role.waiting", what=what, error=str(error))
            await asyncio.sleep(RETRY_S)
