"""Whether a tenant's rows are its plan's: asked by every role that reads plans and PostgreSQL.

Departures are read before the slugs are claimed: a Tenant never gets rows that are on their way
out.
"""

from __future__ import annotations

from collections.abc import Sequence

from sinal_core.nats.departures import DepartureBucket
from sinal_core.plans.snapshot import SlugHolder
from sinal_crds.plan import TenantPlan
from sinal_hub.store.owners import OwnerStore, home


class OwnersGate:
    """The gate of `Plans` over PostgreSQL and the bucket of departures."""

    def __init__(self, owners: OwnerStore, departures: DepartureBucket) -> None:
        self._owners, self._departures = owners, departures

    async def claim(self, plans: Sequence[TenantPlan]) -> dict[str, SlugHolder]:
        """Plans whose rows are another Tenant's, by slug; raises BusError, StoreError."""
        leaving = {
            one.slug: SlugHolder(home(one.namespace, one.name), leaving=True)
            for one in await self._departures.all()
        }
        free = [plan for plan in plans if plan.slug not in leaving]
        taken = await self._owners.claim(free) if free else {}
        held = {plan.slug: leaving[plan.slug] for plan in plans if plan.slug in leaving}
        return held | {slug: SlugHolder(whose) for slug, whose in taken.items()}
