"""Housekeeping as a role."""

from __future__ import annotations

from sinal_cli.roles.base import Base, Chores

DEPTH_INTERVAL_S = 5.0
COVERAGE_INTERVAL_S = 60.0


class Housekeeping(Base):
    """Partitions, retention, rollups, lost messages, erasures, the ledger's check; queues and signals for metrics."""

    role = "housekeeping"

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
