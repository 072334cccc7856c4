"""The check that runs in production: accepted = delivered + withheld + dead + in flight, and each
state has its proof.

Every accepted event is in one state; what can go wrong is that the state is empty: sent, yet in no
outbox; delivered, yet no attempt says so; under way, yet with no end. Each such row is a
difference, named by its event's id.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from sinal_core.plans.ports import Plans
from sinal_core.telemetry import metrics
from sinal_hub.store.housekeeping import HousekeepingStore, LedgerFault

log = structlog.get_logger(__name__)

GRACE_S = 300.0
APART_S = 60.0  # between two checks there is more, between two clocks less


class LedgerCheck:
    """Compares the outbox, the attempts and the events."""

    def __init__(
        self,
        store: HousekeepingStore,
        plans: Plans,
        *,
        grace_s: float = GRACE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._plans, self._grace_s, self._clock = store, plans, grace_s, clock
        self._wrong: set[str] = set()  # tenants of which a difference is shown
        self._at = 0.0  # when it was found

    async def check(self) -> list[LedgerFault]:
        """Look, show and tell; returns what was found. Raises StoreUnavailable."""
        faults = await self._store.faults(grace_s=self._grace_s)
        wrong = dict.fromkeys(self._plans.snapshot.tenants, 0)
        for fault in faults:
            wrong[fault.tenant] = wrong.get(fault.tenant, 0) + fault.rows
            log.error(
                "ledger.difference",
                tenant=fault.tenant,
                fault=fault.fault,
                rows=fault.rows,
                events=fault.examples,
            )
        # Also tenants that left the plans since the last check: their difference would be shown for
        # ever.
        for tenant, rows in (dict.fromkeys(self._wrong, 0) | wrong).items():
            metrics.LEDGER_DIFFERENCE.labels(tenant).set(rows)
        self._wrong, self._at = {tenant for tenant, rows in wrong.items() if rows}, self._clock()
        return faults

    def observe(self, last: float | None) -> None:
        """Show nothing any more once another replica has checked, at `last` (Unix time): it shows
        what it found.
        """
        if last is not None and last > self._at + APART_S:
            for tenant in self._wrong:
                metrics.LEDGER_DIFFERENCE.labels(tenant).set(0)
            self._wrong = set()
