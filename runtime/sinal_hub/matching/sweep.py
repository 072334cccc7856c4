"""What no message brings: orders whose wait is over, rows of the outbox whose message is gone, keys
of old orders.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from sinal_core.nats.client import Publisher
from sinal_core.plans.ports import Plans
from sinal_core.postgres.errors import StoreError, StoreUnavailable
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where
from sinal_crds.plan import TenantPlan
from sinal_hub.matching.batch import Batch, BatchResult
from sinal_hub.matching.outbox import publish
from sinal_hub.store.matching import MatchStore, MatchTransaction

log = structlog.get_logger(__name__)

STALE_OUTBOX_S = 10.0
LIMIT = 200  # orders in a transaction, and rows of the outbox
TENANTS = 20  # in a transaction
ROUNDS = 20  # of some tenants, before the next have their turn
CLOSE_EVERY_S = 60.0
LATE_CLICK = timedelta(days=8)  # the stream keeps events for 7 days; no click comes later


class Sweeper:
    """One per process; several processes sweep side by side, each order by one of them."""

    def __init__(
        self, store: MatchStore, bus: Publisher, plans: Plans, *, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._bus, self._plans, self._clock = store, bus, plans, clock
        self._close_due = 0.0

    async def sweep(self) -> None:
        """Release due orders and publish outbox rows whose message is gone.

        Called about once a second.
        """
        now = self._clock()
        tenants = self._plans.snapshot.tenants
        left = await self._store.left_over(now, older_than_s=STALE_OUTBOX_S)
        # rows of a tenant without a plan stay: by which rules they would be judged is not known
        due = [tenants[slug] for slug in left.due if slug in tenants]
        for start in range(0, len(due), TENANTS):
            await self._release(due[start : start + TENANTS], now)
        if left.unpublished:
            stale = await self._store.unpublished(older_than_s=STALE_OUTBOX_S, limit=LIMIT)
            await publish(self._bus, self._store, stale)
        if time.monotonic() >= self._close_due:
            self._close_due = time.monotonic() + CLOSE_EVERY_S
            await self._store.close_old_orders(before=now - LATE_CLICK)

    async def _release(self, plans: Sequence[TenantPlan], now: datetime) -> None:
        """Release due orders of some tenants.

        When that fails, of each alone: its trouble is not that of the others.
        """
        left = plans
        try:
            for _ in range(ROUNDS):
                # However many tenants share the transaction, it locks no more orders than one may.
                left = await self._released(left, now, LIMIT // len(left))
                if not left:
                    return
        except StoreUnavailable:
            # PostgreSQL that is away is away for each tenant alone, too: the next sweep tries
            # again.
            raise
        except Exception as error:
            if len(left) == 1:
                log.error(
                    "match.sweep_failed", tenant=left[0].slug, error=words(error), fault=error
                )
                return
            # one tenant's fault ended the transaction of all: alone, only its own fails again
            for plan in left:
                await self._release([plan], now)

    async def _released(
        self, plans: Sequence[TenantPlan], now: datetime, limit: int
    ) -> list[TenantPlan]:
        """One transaction; returns those that may have more orders due."""

        async def due(place: int, transaction: MatchTransaction) -> BatchResult:
            return await Batch(plans[place], transaction, now=now).run_due(limit)

        results = await self._store.in_one_transaction([plan.slug for plan in plans], due)
        for plan, result in zip(plans, results, strict=True):
            # after the commit: a row that is published before could be asked for and not be there
            count(plan.slug, result, self._clock())
            await publish(self._bus, self._store, result.outbox)
        return [plan for plan, result in zip(plans, results, strict=True) if result.orders >= limit]


def count(tenant: str, result: BatchResult, now: datetime) -> None:
    """Metrics of what a batch did."""
    for (rule, decision), times in Counter(result.decisions).items():
        metrics.MATCH_TOTAL.labels(tenant, rule, decision).inc(times)
    if not result.fresh:
        return
    now_ms = now.timestamp() * 1000
    observe = metrics.EVENT_LATENCY.labels(tenant, "matched").observe
    for event in result.fresh:
        observe(max(0.0, now_ms - event.received_at) / 1000)


def words(error: Exception) -> str:
    """What may be shown of an error: the store's own words name columns, other messages may quote
    data.
    """
    if isinstance(error, StoreError):
        return str(error)
    place = where(error)
    return f"{type(error).__name__} at {place}" if place else type(error).__name__
