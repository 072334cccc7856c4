"""Refused deliveries: what gateways sent that no event came of, and why."""

from __future__ import annotations

import msgspec

from sinal_hub.services.callers import Caller
from sinal_hub.store.refusals import RefusalRow, RefusalStore


class Refusals(msgspec.Struct, kw_only=True, frozen=True):
    """Refused deliveries by reason, the latest first."""

    hours: int
    refusals: list[RefusalRow]


class RefusalService:
    """Reading refusals; raises StoreUnavailable."""

    def __init__(self, store: RefusalStore) -> None:
        self._store = store

    async def listed(
        self,
        caller: Caller,
        tenant: str | None,
        *,
        hours: int,
        integration: str | None,
        gateway: str | None,
        limit: int,
    ) -> Refusals:
        """Those of the last hours; a caller of the platform also sees those of no tenant."""
        rows = await self._store.listed(
            caller.scope(tenant),
            hours=hours,
            integration=integration,
            gateway=gateway,
            limit=limit,
        )
        return Refusals(hours=hours, refusals=rows)
