"""What roles share that read plans, and the database.

Not in `base`: a role without keys starts without the libraries that open plans.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import structlog

from sinal_cli.roles.base import CONNECT_S, Background, RoleBase, RoleSettings
from sinal_core.aio.periodic import PeriodicTask
from sinal_core.plans.settings import KeyringSettings
from sinal_core.postgres.settings import LosableSettings
from sinal_core.telemetry.settings import TraceSettings
from sinal_crds.keyring import Keyring

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import SecretStr

    from sinal_core.nats import Bus
    from sinal_core.plans import Plans
    from sinal_core.plans.cache import PlanCache
    from sinal_core.postgres.database import Database
    from sinal_crds.hosts import ReservedHosts

log = structlog.get_logger(__name__)

ANOTHER_S = 5.0  # between two looks whether the database is the one it was
OPEN_S, RETRY_S = 5.0, 1.0  # a connection that takes longer is tried again


class PlanSettings(KeyringSettings, RoleSettings):
    """What roles read that have plans."""


class TracedSettings(TraceSettings, PlanSettings):
    """What roles read that are traced."""


class StoreSettings(LosableSettings, PlanSettings):
    """What roles read that have plans and the database."""


T = TypeVar("T")
P = TypeVar("P", bound=PlanSettings)
S = TypeVar("S", bound=StoreSettings)


class PlanRole(RoleBase[P]):
    """What the roles share that read plans."""

    def __init__(self, settings: P, keyring: Keyring) -> None:
        super().__init__(settings)
        self._keyring = keyring

    async def _bus_and_plans(
        self,
        name: str,
        *,
        cache: PlanCache | None = None,
        database: Database | None = None,
        reserved: ReservedHosts | None = None,
    ) -> tuple[Bus, Plans]:
        """Connected, with the plans read; with a cache of them the broker may be away.

        With a database, only plans of Tenants whose the rows are.

        Where tenants are found by host, `reserved` hosts lead to none.
        """
        from sinal_core.plans import Plans
        from sinal_crds.hosts import NOTHING_RESERVED

        # An edge that has plans of its own on disk can take events without the broker. All others
        # wait.
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
            bus, self._keyring, cache=cache, reserved=reserved or NOTHING_RESERVED, gate=gate
        )
        await plans.start()
        self._stack.push_async_callback(plans.stop)
        return bus, plans


class StoreRole(PlanRole[S]):
    """What the roles share that read plans and the database."""

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
