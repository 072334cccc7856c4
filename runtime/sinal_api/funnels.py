"""Routes of funnels: as the plans have them, and new ones as manifests."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sinal_api.access import Admin, Caller, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.keeping import keeping, place
from sinal_api.ports import Plans
from sinal_api.problems import Refused
from sinal_api.sink import ManifestSink
from sinal_crds.loading import InvalidManifests, parse
from sinal_crds.names import API_VERSION
from sinal_crds.plan import ConsentPlan, FunnelPlan, MatchingPlan, TenantPlan, ValuePlan
from sinal_hub.store.operations import OperationsStore


class FunnelView(msgspec.Struct, kw_only=True, frozen=True):
    """A funnel as it works now; its server key is shown nowhere."""

    tenant: str
    name: str
    type: str
    public_key: str
    suspended: bool
    landing_hosts: tuple[str, ...]
    destinations: tuple[str, ...]
    integrations: list[str]
    matching: MatchingPlan
    events: dict[str, str]
    send_renewals: bool
    consent: ConsentPlan
    value: ValuePlan
    problems: list[str]  # of its destinations and integrations, for a person


class Funnels(msgspec.Struct, kw_only=True, frozen=True):
    """Funnels by tenant and name."""

    funnels: list[FunnelView]


class CreatedFunnel(msgspec.Struct, kw_only=True, frozen=True):
    """A manifest that was kept; the funnel works once the operator has seen it, which GET shows."""

    tenant: str
    name: str
    kept_as: str
    manifest: dict[str, Any]


class NewFunnel(BaseModel):
    """Body: a Funnel's `spec` as in its manifest, without `tenantRef`."""

    model_config = ConfigDict(extra="forbid")

    tenant: Word | None = Field(None, description="Slug of its tenant; a tenant's key needs none.")
    name: Word
    spec: dict[str, Any] = {}


def routes(plans: Plans, sink: ManifestSink | None, operations: OperationsStore) -> APIRouter:
    """Funnels."""
    router = APIRouter(prefix="/api/v1/funnels", tags=["funnels"])

    @router.get("", responses=shows(Funnels), summary="Funnels as they work now")
    async def listing(request: Request, caller: Viewer, tenant: Word | None = None) -> Response:
        """From the compiled plans, without any secret."""
        scope = caller.scope(tenant)
        chosen = [plan for slug, plan in plans.snapshot.tenants.items() if scope is None or slug == scope]
        found = [_view(plan, funnel) for plan in chosen for funnel in plan.funnels]
        return tagged(request, Funnels(funnels=found))

    @router.post("", status_code=201, responses=says(CreatedFunnel, status=201), summary="Declare a funnel")
    async def create(caller: Admin, body: NewFunnel) -> Response:
        """It becomes a manifest; each field at fault is named. 501 says that this API has no place for manifests."""
        plan = _tenant(caller, plans, body.tenant)
        manifest = _valid(plan, body)
        _new_in_its_namespace(plans, plan, body.name)
        with keeping():
            kept_as = await place(sink).put(manifest)
        await operations.write(caller.entry("funnel.create", body.name, tenant=plan.slug, kept_as=kept_as))
        return answer(CreatedFunnel(tenant=plan.slug, name=body.name, kept_as=kept_as, manifest=manifest), status=201)

    return router


def _tenant(caller: Caller, plans: Plans, wanted: str | None) -> TenantPlan:
    slug = caller.scope(wanted)
    if slug is None:
        raise HTTPException(400, "tenant: is required with a key of the platform")
    plan: TenantPlan | None = plans.snapshot.tenants.get(slug)
    if plan is None:
        raise HTTPException(404, f"no tenant {slug[:64]!r}")
    return plan


def _new_in_its_namespace(plans: Plans, plan: TenantPlan, name: str) -> None:
    """Names of objects are a namespace's: a tenant's funnel may not take that of a neighbour; raises 409."""
    if plan.funnel(name) is not None:
        raise HTTPException(409, f"funnel {name!r} is there already: change its manifest where it is kept")
    neighbours = (one for one in plans.snapshot.tenants.values() if one.namespace == plan.namespace)
    if any(one.funnel(name) is not None for one in neighbours):
        raise HTTPException(409, f"name: {name!r} is taken in namespace {plan.namespace}; choose another")


def _valid(plan: TenantPlan, body: NewFunnel) -> dict[str, Any]:
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Funnel",
        "metadata": {"name": body.name, "namespace": plan.namespace},
        "spec": {**body.spec, "tenantRef": plan.name},
    }
    if "tenantRef" in body.spec and body.spec["tenantRef"] != plan.name:
        raise _refused([{"field": "spec.tenantRef", "message": "is given by `tenant`; leave it out"}])
    try:
        parse(manifest)
    except InvalidManifests as error:
        raise _refused([{"field": one.field, "message": one.message} for one in error.errors]) from None
    unknown = [
        {"field": f"spec.destinationRefs[{place}]", "message": f"no Destination {name!r} of this tenant"}
        for place, name in enumerate(body.spec.get("destinationRefs", ()))
        if plan.destination(name) is None
    ]
    if unknown:
        raise _refused(unknown)
    return manifest


def _refused(errors: list[dict[str, str]]) -> Refused:
    first = errors[0]
    return Refused(400, f"{first['field']}: {first['message']}", errors)


def _view(plan: TenantPlan, funnel: FunnelPlan) -> FunnelView:
    integrations = [one for one in plan.integrations if one.funnel == funnel.name]
    found = [plan.destination(name) for name in funnel.destinations]
    problems = [f"Destination {d.name}: {d.problem}" for d in found if d is not None and d.problem]
    problems += [f"GatewayIntegration {i.name}: {i.problem}" for i in integrations if i.problem]
    return FunnelView(
        tenant=plan.slug,
        name=funnel.name,
        type=funnel.type,
        public_key=funnel.public_key,
        suspended=plan.shuts(funnel),
        landing_hosts=funnel.landing_hosts,
        destinations=funnel.destinations,
        integrations=[one.name for one in integrations],
        matching=funnel.matching,
        events=funnel.events,
        send_renewals=funnel.send_renewals,
        consent=funnel.consent,
        value=funnel.value,
        problems=problems,
    )
