"""The HTTP edge as a role."""

from __future__ import annotations

from sinal_cli.roles.base import Base, Chores

TALLY_INTERVAL_S = 5.0


class Ingest(Base):
    """The HTTP edge."""

    role = "ingest"
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
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        chores.every(TALLY_INTERVAL_S, lambda: server.tell(bus), what="tallies")
        self.url = server.url
