"""The HTTP edge as a role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sinal_cli.roles.base import Background
from sinal_cli.roles.plan_role import PlanRole, TracedSettings
from sinal_core.aio.periodic import PeriodicTask
from sinal_core.http.settings import ProbeSettings
from sinal_core.plans.settings import HostSettings
from sinal_hub.ingest.settings import ServerSettings

if TYPE_CHECKING:
    from sinal_core.http.readiness import Readiness
    from sinal_hub.ingest.server import IngestServer

TALLY_INTERVAL_S = 5.0


class IngestSettings(ServerSettings, ProbeSettings, HostSettings, TracedSettings):
    """What `sinal run ingest` reads."""


class Ingest(PlanRole[IngestSettings]):
    """The HTTP edge."""

    role = "ingest"
    url = ""
    _server: IngestServer | None = None

    async def start(self) -> None:
        """Connect, read the plans, listen."""
        from sinal_core.plans.cache import PlanCache
        from sinal_hub.ingest.server import IngestServer
        from sinal_hub.privacy import spools

        self._trace("sinal-ingest", self._settings)
        folder = self._settings.spool_dir
        cache = None if folder is None else PlanCache(folder / "plans.json")
        bus, plans = await self._bus_and_plans(
            "sinal-ingest", cache=cache, reserved=self._settings.reserved
        )
        server = IngestServer(
            self._settings, bus, plans, keyring=self._keyring, tracer=self._tracer
        )
        await server.start()
        self._stack.push_async_callback(server.stop)
        if server.detour is not None:
            await spools.obey(bus, server.detour)
        background = Background()
        self._stack.push_async_callback(background.stop)
        background.schedule(PeriodicTask("tallies", TALLY_INTERVAL_S, lambda _: server.tell(bus)))
        self._server, self.url = server, server.url

    async def standing(self) -> Readiness:
        """Whether an event could be accepted now; the disk does for a broker that is away."""
        return await super().standing() if self._server is None else self._server.health.standing()

    def observe(self) -> None:
        """Look at the spool."""
        if self._server is not None:
            self._server.health.observe()
