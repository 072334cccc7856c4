"""Housekeeping as a whole: its chores, how often each is done, and what they stand on."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import datetime

from sinal_core.aio.periodic import PeriodicTask, Scheduler
from sinal_core.plans.ports import Plans
from sinal_core.postgres.database import Database
from sinal_core.telemetry import metrics
from sinal_crds.keyring import Keyring
from sinal_hub.housekeeping import runs
from sinal_hub.privacy.erasure import Eraser
from sinal_hub.privacy.purges import Purger
from sinal_hub.privacy.queues import Incoming, QuarantineReader
from sinal_hub.privacy.spools import BroadcastSpools
from sinal_hub.status.heartbeat import Heartbeat
from sinal_hub.status.ledger import LedgerCheck
from sinal_hub.status.lost_messages import Stranded
from sinal_hub.status.ports import Bus
from sinal_hub.status.surveys import Surveyor
from sinal_hub.status.tenant_status import TenantStatusReporter
from sinal_hub.store.backups import last_good
from sinal_hub.store.housekeeping import HousekeepingStore, Leases
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.partitions import maintain
from sinal_hub.store.privacy import PrivacyStore
from sinal_hub.store.purging import PurgeStore
from sinal_hub.store.rollups import roll_up

# Seconds between two runs of each chore.
TABLES_S = 3_600.0
STRANDED_S = 30.0
ROLLUPS_S = 300.0  # on a busy platform, where an hour has millions of events to count; elsewhere …
LEAST_ROLLUPS_S = 10.0  # … they cost nothing
ROLLUPS_SHARE = 1 / 50  # of the time: PostgreSQL has better to do
MOST_FACTS_S = 120.0
ERASURES_S = 5.0
LEDGER_S = 900.0
HEARTBEAT_S = 60.0
PURGES_S = 5.0
RETRY_S = 30.0  # after a failure, where the chore itself is not due sooner
OBSERVE_S = 15.0


class Housekeeper:
    """Raises nothing by itself: a chore that fails is logged, counted and done again."""

    def __init__(
        self,
        database: Database,
        owner: Database,
        bus: Bus,
        plans: Plans,
        keyring: Keyring,
        *,
        facts: TenantStatusReporter,
        surveys: Surveyor,
        facts_every_s: float,
    ) -> None:
        self._facts, self._facts_every_s = facts, facts_every_s
        store, outbox = HousekeepingStore(database), MatchStore(database)
        self._database, self._owner, self._plans = database, owner, plans
        self._stranded = Stranded(store, outbox, bus, plans, surveys=surveys)
        self._heartbeat = Heartbeat(store, bus, plans)
        self._purger = Purger(PurgeStore(owner), bus)
        self._ledger = LedgerCheck(store, plans)
        self._eraser = Eraser(
            database,
            PrivacyStore(database),
            Incoming(bus, outbox),
            QuarantineReader(bus, keyring),
            BroadcastSpools(bus),
            plans,
        )
        self._leases = Leases(database)
        self._scheduler = Scheduler(
            self._chores(),
            ended=runs.record,
            leases=self._leases,
            # Pods differ by host name, processes of one machine by number.
            holder=f"{socket.gethostname()}:{os.getpid()}",
            retry_s=RETRY_S,
        )
        # Without leases: each replica is scraped for itself, and shows what any of them has done.
        self._observer = Scheduler(
            [PeriodicTask("observe", OBSERVE_S, lambda _: self._observe())], ended=runs.note
        )

    async def run(self) -> None:
        """Keep house for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._scheduler.run())
            both.create_task(self._observer.run())

    def _chores(self) -> list[PeriodicTask]:
        return [
            # By the owner's login: PostgreSQL lets nobody else make or drop partitions.
            PeriodicTask("tables", TABLES_S, lambda _: maintain(self._owner)),
            PeriodicTask("stranded", STRANDED_S, lambda _: self._stranded.rescue()),
            PeriodicTask(
                "rollups",
                ROLLUPS_S,
                self._roll_up,
                least_s=min(LEAST_ROLLUPS_S, self._facts_every_s),
                share=ROLLUPS_SHARE,
            ),
            PeriodicTask(
                "facts",
                max(MOST_FACTS_S, self._facts_every_s),
                self._facts.tell,
                least_s=self._facts_every_s,
            ),
            PeriodicTask("erasures", ERASURES_S, lambda _: self._eraser.run()),
            PeriodicTask("purges", PURGES_S, lambda _: self._purger.run()),
            PeriodicTask("ledger", LEDGER_S, lambda _: self._ledger.check()),
            PeriodicTask("heartbeat", HEARTBEAT_S, lambda _: self._heartbeat.send()),
        ]

    async def _roll_up(self, since: datetime | None) -> int:
        zones = {plan.slug: plan.timezone for plan in self._plans.snapshot.tenants.values()}
        return await roll_up(self._database, since=since, zones=zones)

    async def _observe(self) -> None:
        """Show what any replica has done."""
        successes = await self._leases.last_successes()
        runs.show(successes)
        self._ledger.observe(successes.get("ledger"))
        await self._heartbeat.observe()
        await self._eraser.observe()
        backup = await last_good(self._database)
        metrics.BACKUP_LAST_SUCCESS.set(0 if backup is None else backup.began_at)
        metrics.BACKUP_BYTES.set(0 if backup is None else backup.bytes)
        metrics.BACKUP_SECONDS.set(0 if backup is None else backup.seconds)
