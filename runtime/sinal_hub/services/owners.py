"""A slug that another Tenant took: whose the data under it are is decided by the platform's
administrator.
"""

from __future__ import annotations

from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Conflict, Forbidden, NotFound
from sinal_hub.services.ports import Plans
from sinal_hub.store.owners import HandedOver, OwnerStore, home


def taken_over(slug: str) -> str:
    """What is said of a slug whose data are another Tenant's than its plan."""
    return f"the slug {slug} is wanted by another Tenant than the one whose data are under it"


class OwnerService:
    """Handing slugs over; raises StoreUnavailable and errors of services."""

    def __init__(self, store: OwnerStore, plans: Plans) -> None:
        self._store, self._plans = store, plans

    async def hand_over(self, caller: Caller, slug: str) -> HandedOver:
        """Give a slug's data to the Tenant that took the slug."""
        return await _hand_over(self._store, self._plans, caller, slug)


async def _hand_over(store: OwnerStore, plans: Plans, caller: Caller, slug: str) -> HandedOver:
    if caller.tenant is not None:
        raise Forbidden(
            "a slug is handed over by the platform's administrator, not with a tenant's key"
        )
    held = plans.snapshot.held.get(slug)
    if held is None:
        raise NotFound(f"no Tenant waits for the slug {slug[:64]!r}")
    if held.owner.leaving:
        raise Conflict(
            f"the data under {slug} are being removed; its Tenant works as soon as that is done"
        )
    to_home = home(held.plan.namespace, held.plan.name)
    done = await store.hand_over(slug, caller.entry("tenant.handover", to_home, tenant=slug))
    if done is None:
        raise Conflict(f"the slug {slug} was handed over already")
    return done
