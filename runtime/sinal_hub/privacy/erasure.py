"""Erasure: a person taken out of every table, queue, quarantine and spool, and a line in the audit
log that proves it.

It was taken on with marks that matching obeys, so nothing of the person comes in while it runs.
Each step may be repeated: one that fails leaves the erasure waiting, and the next run begins again.
Tenants are served side by side, and each has so much time a run: whoever has much to be searched
makes nobody else wait. What an erasure has searched of quarantine it does not search again in this
process.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

import structlog

from sinal_core.nats.errors import BusError
from sinal_core.plans.ports import Plans
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreError
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where
from sinal_hub.model.events import Forget
from sinal_hub.privacy.data_subject import keys_of
from sinal_hub.privacy.queues import Incoming, QuarantineReader, Searched, shown
from sinal_hub.status.ports import Spools
from sinal_hub.store import personal_data
from sinal_hub.store.matching_rows import Mark
from sinal_hub.store.privacy import PendingErasure, PrivacyStore

log = structlog.get_logger(__name__)

COUNTRY = "BR"  # of phones of a tenant that is not in the plans any more


AT_ONCE = 4  # tenants
BUDGET_S = 30.0  # of a tenant in one run


class TimeIsUp(Exception):
    """An erasure has not come to its end within its tenant's time; it goes on in the next run."""


class ErasureUnfinished(Exception):
    """Some erasures could not be done now; they are tried again."""


class Eraser:
    """Does the erasures that were asked for."""

    def __init__(
        self,
        database: Database,
        store: PrivacyStore,
        incoming: Incoming,
        quarantine: QuarantineReader,
        spools: Spools,
        plans: Plans,
        *,
        budget_s: float = BUDGET_S,
    ) -> None:
        self._budget_s = budget_s
        self._searched: dict[str, Searched] = {}  # of erasures that are under way, by id
        self._database, self._store, self._plans = database, store, plans
        self._incoming, self._quarantine, self._spools = incoming, quarantine, spools

    async def run(self) -> int:
        """Do all that wait; returns how many.

        One that fails costs no other; raises Unfinished then.
        """
        waiting = await self._store.waiting()
        # Another replica may have done some of them: what does not wait any more is forgotten here.
        self._searched = {
            one.id: self._searched[one.id] for one in waiting if one.id in self._searched
        }
        of_tenants: defaultdict[str, list[PendingErasure]] = defaultdict(list)
        for one in waiting:
            of_tenants[one.tenant].append(one)
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._serve(theirs, gate)) for theirs in of_tenants.values()]
        if waiting:
            await self.observe()
        if left := sum(task.result() for task in tasks):
            raise ErasureUnfinished(f"{left} of {len(waiting)} erasures")
        return len(waiting)

    async def _serve(self, waiting: list[PendingErasure], gate: asyncio.Semaphore) -> int:
        """Do those of one tenant, the oldest first; returns how many are left."""
        left = 0
        async with gate:
            until = time.monotonic() + self._budget_s
            for one in waiting:
                try:
                    counts = await self._erase(one, until)
                except TimeIsUp as error:
                    left += 1
                    await self._store.failed(one.id, type(error).__name__)
                    log.info("privacy.erasure_goes_on", erasure=one.id, tenant=one.tenant)
                except (StoreError, BusError) as error:
                    left += 1
                    await self._store.failed(one.id, type(error).__name__)
                    log.error(
                        "privacy.erasure_failed", erasure=one.id, tenant=one.tenant, at=where(error)
                    )
                else:
                    log.info("privacy.erased", erasure=one.id, tenant=one.tenant, **counts)
        return left

    async def observe(self) -> None:
        """Show how many wait."""
        metrics.ERASURES_WAITING.set(await self._store.count_waiting())

    async def _erase(self, waiting: PendingErasure, until: float) -> dict[str, int]:
        wanted = waiting.subject
        keys = keys_of(await personal_data.look(self._database, wanted))
        # Before anything is taken out: what else comes in of these browsers and orders meets a
        # mark.
        await self._store.mark(waiting, keys)
        at_ms = round(waiting.requested_at.timestamp() * 1000)
        marks = [Mark(key=key, kind="erased", at_ms=at_ms) for key in keys]
        queued = await self._incoming.erase(wanted, marks)
        searched = self._searched.get(waiting.id, Searched())
        searched = await self._quarantine.erase(
            wanted, searched, country=self._country(wanted), until=until
        )
        self._searched[waiting.id] = searched
        if not searched.finished:
            raise TimeIsUp
        await self._spools.erase(wanted)
        # Tables come last, with the end of the erasure: a step before that fails leaves it waiting,
        # and what finds the rest of the person is still there.
        done = await self._store.finish(
            waiting, {"queued_events": queued, "quarantine": searched.deleted}
        )
        del self._searched[waiting.id]
        return done

    def _country(self, wanted: Forget) -> str:
        plan = self._plans.snapshot.tenants.get(wanted.tenant)
        return plan.country if plan is not None else COUNTRY


class Exporter:
    """Shows a person what is kept of them."""

    def __init__(
        self, database: Database, incoming: Incoming, quarantine: QuarantineReader
    ) -> None:
        self._database, self._incoming, self._quarantine = database, incoming, quarantine

    async def export(self, wanted: Forget, *, country: str) -> dict[str, list[object]]:
        """Everything, by where it lies; raises StoreUnavailable, BusError."""
        everything: dict[str, list[object]] = dict(await personal_data.show(self._database, wanted))
        keys = keys_of(await personal_data.look(self._database, wanted))
        # As if erased in a far future, so that every event of theirs counts, however late it is.
        marks = [Mark(key=key, kind="erased", at_ms=2**62) for key in keys]
        everything["queued_events"] = [
            event async for _, event in self._incoming.find(wanted, marks) if event
        ]
        kept = await self._quarantine.find(wanted, country=country)
        everything["quarantine"] = [shown(head, raw) for head, raw in kept]
        return everything
