"""The check that runs in production: accepted = delivered + withheld + dead + in flight, and each state has its proof.

Every accepted event is in one state; what can go wrong is that the state is empty: sent, yet in no outbox; delivered,
yet no attempt says so; under way, yet with no end. Each such row is a difference, named by its event's id.
"""

from __future__ import annotations

import structlog

from sinal_runtime import metrics
from sinal_runtime.housekeeping.ports import Plans
from sinal_runtime.store.housekeeping import Fault, HousekeepingStore

log = structlog.get_logger(__name__)

GRACE_S = 300.0


class LedgerCheck:
    """Compares the outbox, the attempts and the events."""

    def __init__(self, store: HousekeepingStore, plans: Plans, *, grace_s: float = GRACE_S) -> None:
        self._store, self._plans, self._grace_s = store, plans, grace_s

    async def check(self) -> list[Fault]:
        """Look, show and tell; returns what was found. Raises StoreUnavailable."""
        faults = await self._store.faults(grace_s=self._grace_s)
        wrong = dict.fromkeys(self._plans.snapshot.tenants, 0)
        for fault in faults:
            wrong[fault.tenant] = wrong.get(fault.tenant, 0) + fault.rows
            log.error(
                "ledger.difference", tenant=fault.tenant, fault=fault.fault, rows=fault.rows, events=fault.examples
            )
        for tenant, rows in wrong.items():
            metrics.LEDGER_DIFFERENCE.labels(tenant).set(rows)
        return faults
