"""Housekeeping as a role."""

from __future__ import annotations

from sinal_cli.roles.base import Base, Chores

DEPTH_INTERVAL_S, MOST_DEPTH_INTERVAL_S = 10.0, 30.0  # a look asks the broker some questions for each busy tenant
COVERAGE_INTERVAL_S = 60.0


class Housekeeping(Base):
    """Partitions, retention, rollups, lost messages, erasures, the ledger's check; queues and signals for metrics."""

    role = "housekeeping"

    async def start(self) -> None:
        """Connect and look after the tables."""
        from sinal_runtime.bus.board import Board
        from sinal_runtime.housekeeping import tallies
        from sinal_runtime.housekeeping.facts import Facts
        from sinal_runtime.housekeeping.service import Housekeeper
        from sinal_runtime.observing.coverage import SignalCoverage
        from sinal_runtime.observing.queues import Queues
        from sinal_runtime.observing.shared import Surveys
        from sinal_runtime.store.facts import FactStore
        from sinal_runtime.store.observing import ObservingStore

        settings = self._settings
        owner = await self._database(settings.maintenance_database_url or settings.database_url, max_size=2)
        database = await self._database(settings.database_url, max_size=6)
        bus, plans = await self._bus_and_plans("sinal-housekeeping", database=database)
        chores = Chores()
        self._stack.push_async_callback(chores.stop)
        store = FactStore(database)
        every_s = settings.facts_interval_s
        surveys = Surveys(bus)
        recent = surveys.within(min(DEPTH_INTERVAL_S, every_s))
        facts = Facts(store, Board(bus), recent, plans, apart_s=2 * every_s)
        keeper = Housekeeper(
            database, owner, bus, plans, self._keyring, facts=facts, surveys=recent, facts_every_s=every_s
        )
        await tallies.keep(bus, store)
        chores.run(keeper.run())
        chores.every(
            DEPTH_INTERVAL_S, Queues(surveys.within(0), plans).look, what="queue depths", most_s=MOST_DEPTH_INTERVAL_S
        )
        coverage = SignalCoverage(ObservingStore(database))
        chores.every(COVERAGE_INTERVAL_S, coverage.look, what="signal coverage")
