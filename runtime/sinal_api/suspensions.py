"""Routes of what is suspended: what stands still now, and the way to suspend and to resume.

Both change `spec.suspended` of the object where it is kept, as funnels are made there, and work once the operator has
seen it. Invariant: a tenant's key never changes its Tenant, which the platform may have cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sinal_api.access import Admin, Caller, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.keeping import keeping, place
from sinal_api.ports import Plans
from sinal_api.sink import ManifestSink, ObjectRef
from sinal_crds.plan import TenantPlan
from sinal_hub.store.operations import OperationsStore

Kind = Literal["Tenant", "Funnel", "Destination", "GatewayIntegration"]


class Suspended(msgspec.Struct, kw_only=True, frozen=True):
    """An object that stands still by its own `spec.suspended`."""

    tenant: str
    kind: Kind
    name: str


class SuspendedPage(msgspec.Struct, kw_only=True, frozen=True):
    """All of them, by tenant."""

    suspended: list[Suspended]


class Changed(msgspec.Struct, kw_only=True, frozen=True):
    """What was asked for is kept; it holds once the operator has seen it, which GET shows."""

    tenant: str
    kind: Kind
    name: str
    suspended: bool
    kept_as: str


class Change(BaseModel):
    """Body: which object, and whether it shall stand still."""

    model_config = ConfigDict(extra="forbid")

    tenant: Word | None = Field(None, description="Slug of its tenant; a tenant's key needs none.")
    kind: Kind
    name: Word = Field(description="The object's name; of a Tenant its slug.")
    suspended: bool


def routes(plans: Plans, sink: ManifestSink | None, operations: OperationsStore) -> APIRouter:
    """What is suspended."""
    router = APIRouter(prefix="/api/v1/suspensions", tags=["tenants"])

    @router.get("", responses=shows(SuspendedPage), summary="What is suspended now")
    async def listing(request: Request, caller: Viewer, tenant: Word | None = None) -> Response:
        """From the compiled plans. Of a suspended tenant its parts stand still, too, and are not listed for that."""
        scope = caller.scope(tenant)
        chosen = [plan for slug, plan in plans.snapshot.tenants.items() if scope is None or slug == scope]
        return tagged(request, SuspendedPage(suspended=[one for plan in chosen for one in stopped(plan)]))

    @router.put("", responses=says(Changed), summary="Suspend an object, or resume it")
    async def change(caller: Admin, body: Change) -> Response:
        """Saying it again changes nothing. A Tenant needs a key of the platform."""
        plan = _plan(caller, plans, body)
        ref = _meant(plan, body)
        with keeping():
            kept_as = await place(sink).set_suspended(ref, body.suspended)
        action = f"{body.kind.lower()}.{'suspend' if body.suspended else 'resume'}"
        await operations.write(caller.entry(action, body.name, tenant=plan.slug, kept_as=kept_as))
        return answer(
            Changed(tenant=plan.slug, kind=body.kind, name=body.name, suspended=body.suspended, kept_as=kept_as)
        )

    return router


def stopped(plan: TenantPlan) -> Iterator[Suspended]:
    """What of a tenant is suspended by its own word."""
    if plan.suspended:
        yield Suspended(tenant=plan.slug, kind="Tenant", name=plan.slug)
    for kind, names in _parts(plan).items():
        for name, is_suspended in names.items():
            if is_suspended:
                yield Suspended(tenant=plan.slug, kind=kind, name=name)


def _parts(plan: TenantPlan) -> dict[Kind, dict[str, bool]]:
    return {
        "Funnel": {one.name: one.suspended for one in plan.funnels},
        "Destination": {one.name: one.suspended for one in plan.destinations},
        "GatewayIntegration": {one.name: one.suspended for one in plan.integrations},
    }


def _plan(caller: Caller, plans: Plans, body: Change) -> TenantPlan:
    slug = caller.scope(body.tenant or (body.name if body.kind == "Tenant" else None))
    if slug is None:
        raise HTTPException(400, "tenant: is required with a key of the platform")
    plan: TenantPlan | None = plans.snapshot.tenants.get(slug)
    if plan is None:
        raise HTTPException(404, f"no tenant {slug[:64]!r}")
    if body.kind == "Tenant" and caller.tenant is not None:
        raise HTTPException(403, "kind: a Tenant is suspended and resumed with a key of the platform")
    return plan


def _meant(plan: TenantPlan, body: Change) -> ObjectRef:
    """The object that is meant; raises 404."""
    if body.kind == "Tenant":
        if body.name != plan.slug:
            raise HTTPException(400, f"name: is another than the tenant's slug, {plan.slug!r}")
        return ObjectRef("Tenant", plan.namespace, plan.name, plan.uid)
    if body.name not in (there := _parts(plan)[body.kind]):
        choices = f"there are: {', '.join(sorted(there)[:20])}" if there else "there is none yet"
        raise HTTPException(404, f"no {body.kind} {body.name[:64]!r} of tenant {plan.slug!r}; {choices}")
    return ObjectRef(body.kind, plan.namespace, body.name)
