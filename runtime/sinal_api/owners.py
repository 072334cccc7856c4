"""Route of a slug that another Tenant took: whose the data under it are is decided by the platform's administrator."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response

from sinal_api.access import Admin
from sinal_api.answers import answer, says
from sinal_api.filters import Word
from sinal_api.ports import Plans
from sinal_hub.store.owners import HandedOver, OwnerStore, home


def taken_over(slug: str) -> str:
    """What is said of a slug whose data are another Tenant's than its plan."""
    return f"the slug {slug} is wanted by another Tenant than the one whose data are under it"


def routes(store: OwnerStore, plans: Plans) -> APIRouter:
    """Handing a slug over."""
    router = APIRouter(prefix="/api/v1/tenants/{slug}", tags=["tenants"])

    @router.post("/handover", responses=says(HandedOver), summary="Give a slug's data to the Tenant that took the slug")
    async def hand_over(caller: Admin, slug: Word) -> Response:
        """For the platform's administrator. Keys of the tenant before end; the new one works within seconds."""
        if caller.tenant is not None:
            raise HTTPException(403, "a slug is handed over by the platform's administrator, not with a tenant's key")
        held = plans.snapshot.held.get(slug)
        if held is None:
            raise HTTPException(404, f"no Tenant waits for the slug {slug[:64]!r}")
        if held.owner.leaving:
            raise HTTPException(
                409, f"the data under {slug} are being removed; its Tenant works as soon as that is done"
            )
        to_home = home(held.plan.namespace, held.plan.name)
        done = await store.hand_over(slug, caller.entry("tenant.handover", to_home, tenant=slug))
        if done is None:
            raise HTTPException(409, f"the slug {slug} was handed over already")
        return answer(done)

    return router
