"""The operations API as a role."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sinal_api.settings import AccessSettings
from sinal_cli.roles.base import BadSettings
from sinal_cli.roles.plan_role import StoreRole, StoreSettings, TracedSettings
from sinal_core.http.server import HttpServer
from sinal_core.http.settings import DrainSettings, ProbeSettings
from sinal_core.redis_settings import RedisSettings
from sinal_hub.intake.settings import EventSettings
from sinal_hub.meta.settings import GraphSettings
from sinal_hub.services.settings import ManifestSettings
from sinal_hub.store.settings import ApiLoginSettings

if TYPE_CHECKING:
    from sinal_core.http.drain import Drain
    from sinal_core.http.readiness import Readiness
    from sinal_hub.services.manifest_sink import ManifestSink

CONNECTIONS = 5  # of each login
_NOT_BOUND = (
    "PostgreSQL can't keep a tenant's key to that tenant's rows: the role sinal_api is missing, or "
    "this login may not "
    "take it. Make and grant it (docs/operators/install.md, The API's own login), or set "
    "SINAL_API_WITHOUT_ROW_SECURITY=true"
)


class ApiSettings(
    AccessSettings,
    ManifestSettings,
    ApiLoginSettings,
    GraphSettings,
    EventSettings,
    RedisSettings,
    DrainSettings,
    ProbeSettings,
    StoreSettings,
    TracedSettings,
):
    """What `sinal run api` reads."""


class Api(StoreRole[ApiSettings]):
    """The operations API."""

    role = "api"
    url = ""
    _leaving: Drain | None = None

    async def start(self) -> None:
        """Connect and listen."""
        from sinal_api.app import Parts, build
        from sinal_hub.meta.tokens import GraphTokens
        from sinal_hub.services.dependencies import dependencies

        settings = self._settings
        self._trace("sinal-api", settings)
        database = await self._database(
            settings.database_url, tenants=self._login(), max_size=CONNECTIONS
        )
        if not (database.binds_tenants or settings.api_without_row_security):
            raise BadSettings(_NOT_BOUND)
        bus, plans = await self._bus_and_plans("sinal-api", database=database)
        self._checks = dependencies(database, bus, plans, redis_url=settings.redis)
        app = build(
            Parts(
                database,
                bus,
                plans,
                settings.admin_key,
                checks=self._checks,
                sink=await self._sink(),
                tokens=GraphTokens(settings.graph_url),
                streams=bus,
                keyring=self._keyring,
                tracer=self._tracer,
                event_version=settings.event_version,
            )
        )
        server = HttpServer(app, host=settings.host, port=settings.port)
        await server.start()
        self._stack.push_async_callback(server.stop)
        self.url = server.url
        self._leaving = app.state.leaving

    def _login(self) -> str | None:
        """The URL of the login that tenants' requests have; raises BadSettings."""
        from sinal_core.postgres.errors import MigrationError
        from sinal_hub.store.logins import api_url

        try:
            return api_url(self._settings)
        except MigrationError as error:
            raise BadSettings(str(error)) from None

    async def standing(self) -> Readiness:
        """Whether a write could happen now."""
        from sinal_hub.services import dependencies as checked

        return (
            await super().standing()
            if self._leaving is None
            else await checked.standing(self._checks, self._leaving)
        )

    async def stop(self) -> None:
        """Be unready as long as load balancers need, end streams, finish requests under way,
        release everything.
        """
        if self._leaving is not None:
            self._leaving.drain()
            await asyncio.sleep(self._settings.drain_s)
            # After the drain: streams never end by themselves, and would hold the server until its
            # time is over.
            self._leaving.end()
        await super().stop()

    async def _sink(self) -> ManifestSink | None:
        """Where manifests made through the API go."""
        if self._settings.manifest_apply:
            from sinal_api.cluster import ClusterSink

            cluster = await ClusterSink.connect()
            self._stack.push_async_callback(cluster.close)
            return cluster
        if (folder := self._settings.manifest_folder) is not None:
            from sinal_hub.services.manifest_sink import FolderSink

            return FolderSink(folder)
        return None
