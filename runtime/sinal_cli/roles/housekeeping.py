"""Housekeeping as a role."""

from __future__ import annotations

from sinal_cli.roles.base import Background
from sinal_cli.roles.plan_role import StoreRole, StoreSettings
from sinal_core.aio.periodic import PeriodicTask
from sinal_core.postgres.settings import OwnerSettings
from sinal_hub.housekeeping.settings import StatusSettings
from sinal_hub.store.settings import ApiLoginSettings

# a look asks the broker some questions for each busy tenant
DEPTH_INTERVAL_S, MOST_DEPTH_INTERVAL_S = 10.0, 30.0
COVERAGE_INTERVAL_S = 60.0
WHOLE_S = 5.0  # between two looks whether the database has its tables


class HousekeepingSettings(StatusSettings, OwnerSettings, ApiLoginSettings, StoreSettings):
    """What `sinal run housekeeping` reads."""


class Housekeeping(StoreRole[HousekeepingSettings]):
    """Partitions, retention, rollups, lost messages, erasures, the ledger's check.

    Queues and signals for metrics.
    """

    role = "housekeeping"

    async def start(self) -> None:
        """Connect and look after the tables."""
        from sinal_core.nats.status_bucket import StatusBucket
        from sinal_hub.housekeeping.service import Housekeeper
        from sinal_hub.status import reject_counts
        from sinal_hub.status.coverage import SignalCoverage
        from sinal_hub.status.queues import Queues
        from sinal_hub.status.surveys import Surveys
        from sinal_hub.status.tenant_status import TenantStatusReporter
        from sinal_hub.store.signal_coverage import SignalCoverageStore
        from sinal_hub.store.tenant_status import TenantStatusStore

        settings = self._settings
        if settings.database_may_be_lost:
            self._keep_whole()
        owner = await self._database(settings.owner_url, max_size=2)
        database = await self._database(settings.database_url, max_size=6)
        bus, plans = await self._bus_and_plans("sinal-housekeeping", database=database)
        background = Background()
        self._stack.push_async_callback(background.stop)
        store = TenantStatusStore(database)
        every_s = settings.facts_interval_s
        surveys = Surveys(bus)
        recent = surveys.within(min(DEPTH_INTERVAL_S, every_s))
        facts = TenantStatusReporter(store, StatusBucket(bus), recent, plans, apart_s=2 * every_s)
        keeper = Housekeeper(
            database,
            owner,
            bus,
            plans,
            self._keyring,
            facts=facts,
            surveys=recent,
            facts_every_s=every_s,
        )
        await reject_counts.keep(bus, store)
        background.run(keeper.run())
        queues = Queues(surveys.within(0), plans)
        coverage = SignalCoverage(SignalCoverageStore(database))
        background.schedule(
            PeriodicTask(
                "queue depths",
                MOST_DEPTH_INTERVAL_S,
                lambda _: queues.look(),
                least_s=DEPTH_INTERVAL_S,
            ),
            PeriodicTask("signal coverage", COVERAGE_INTERVAL_S, lambda _: coverage.look()),
        )

    def _keep_whole(self) -> None:
        """Make tables and logins again whenever PostgreSQL has come back without them, before and
        while it works.
        """
        from sinal_hub.store.logins import api_url
        from sinal_hub.store.rebuild import make_whole

        settings = self._settings
        urls = [
            url
            for url in (settings.database_url.get_secret_value(), api_url(settings))
            if url is not None
        ]
        owner = settings.owner_url.get_secret_value()
        background = Background()
        background.schedule(
            PeriodicTask("a database that was lost", WHOLE_S, lambda _: make_whole(owner, urls))
        )
        self._stack.push_async_callback(background.stop)
