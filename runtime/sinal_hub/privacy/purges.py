"""Purges: the data of a Tenant that was deleted with `deletionPolicy: Delete`, taken out of tables
and quarantine.

The operator says so by a departure, which stays until all of it is done: work that is stopped
begins again with what is left. Until then no other Tenant gets the slug's rows
(`store.plan_owners`).
"""

from __future__ import annotations

import structlog

from sinal_core.nats.departures import DepartureBucket
from sinal_core.nats.errors import BusError
from sinal_core.postgres.errors import StoreError
from sinal_core.telemetry.places import where
from sinal_crds.departures import Departure
from sinal_hub.intake.ids import moment_ms
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.status.ports import Bus
from sinal_hub.store.purging import PurgeStore

log = structlog.get_logger(__name__)


class Unpurged(Exception):
    """Some data could not be removed now; it is tried again."""


class Purger:
    """Works departures off."""

    def __init__(self, store: PurgeStore, bus: Bus) -> None:
        self._store, self._departures, self._quarantine = (
            store,
            DepartureBucket(bus),
            QuarantineBucket(bus),
        )

    async def run(self) -> int:
        """Work all off and return how many; one that fails costs no other.

        Raises BusError, Unpurged.
        """
        waiting = await self._departures.all()
        failed = 0
        for one in waiting:
            try:
                await self._purge(one)
            except (StoreError, BusError) as error:
                failed += 1
                log.error(
                    "purge.failed", tenant=one.slug, error=type(error).__name__, at=where(error)
                )
        if failed:
            raise Unpurged(f"{failed} of {len(waiting)} tenants")
        return len(waiting)

    async def _purge(self, departure: Departure) -> None:
        theirs = await self._store.begin(departure)
        while theirs and await self._store.purge(departure):
            pass
        quarantined = await self._forget_quarantine(departure) if theirs else 0
        while not await self._store.finish(departure, theirs=theirs, quarantined=quarantined):
            pass
        await self._departures.remove(departure)
        log.info("purge.done", tenant=departure.slug, theirs=theirs, quarantine=quarantined)

    async def _forget_quarantine(self, departure: Departure) -> int:
        """Deliveries that came until the Tenant went.

        What came later is of who has the slug now.
        """
        kept = [
            one
            for _, one in await self._quarantine.held(departure.slug)
            if moment_ms(one) <= departure.at
        ]
        for blob_id in kept:
            await self._quarantine.remove(departure.slug, blob_id)
        return len(kept)
