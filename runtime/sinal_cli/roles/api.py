"""The operations API as a role."""

from __future__ import annotations

from sinal_cli.roles.base import Base
from sinal_runtime.server import HttpServer


class Api(Base):
    """The operations API."""

    role = "api"
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
