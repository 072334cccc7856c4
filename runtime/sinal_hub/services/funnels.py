"""Funnels: as the plans have them, and new ones as manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sinal_crds.loading import InvalidManifests, parse
from sinal_crds.names import API_VERSION
from sinal_crds.plan import ConsentPlan, FunnelPlan, MatchingPlan, TenantPlan, ValuePlan
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Conflict, FieldFault, invalid
from sinal_hub.services.keeping import keeping, place
from sinal_hub.services.manifest_sink import ManifestSink
from sinal_hub.services.ports import Plans
from sinal_hub.store.audit import AuditStore


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


class FunnelService:
    """What may be done with funnels."""

    def __init__(self, plans: Plans, sink: ManifestSink | None, audit: AuditStore) -> None:
        self._plans, self._sink, self._audit = plans, sink, audit

    def listed(self, caller: Caller, tenant: str | None) -> Funnels:
        """From the compiled plans, without any secret; raises NotFound."""
        scope = caller.scope(tenant)
        chosen = [
            plan
            for slug, plan in self._plans.snapshot.tenants.items()
            if scope is None or slug == scope
        ]
        return Funnels(funnels=[_view(plan, funnel) for plan in chosen for funnel in plan.funnels])

    async def declare(
        self, caller: Caller, *, tenant: str | None, name: str, spec: Mapping[str, Any]
    ) -> CreatedFunnel:
        """Keep a manifest.

        Raises Invalid with each field at fault, Conflict, NotFound, and what `keeping` does.
        """
        plan = caller.plan(self._plans, tenant)
        manifest = _valid(plan, name, spec)
        _new_in_its_namespace(self._plans, plan, name)
        with keeping():
            kept_as = await place(self._sink).put(manifest)
        # After the sink has taken it: a line in the audit trail says what was done and not what was
        # tried.
        await self._audit.write(
            caller.entry("funnel.create", name, tenant=plan.slug, kept_as=kept_as)
        )
        return CreatedFunnel(tenant=plan.slug, name=name, kept_as=kept_as, manifest=manifest)


def _new_in_its_namespace(plans: Plans, plan: TenantPlan, name: str) -> None:
    """Names of objects are a namespace's: a tenant's funnel may not take that of a neighbour.

    Raises Conflict.
    """
    if plan.funnel(name) is not None:
        raise Conflict(f"funnel {name!r} is there already: change its manifest where it is kept")
    neighbours = (one for one in plans.snapshot.tenants.values() if one.namespace == plan.namespace)
    if any(one.funnel(name) is not None for one in neighbours):
        raise Conflict(f"name: {name!r} is taken in namespace {plan.namespace}; choose another")


def _valid(plan: TenantPlan, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Funnel",
        "metadata": {"name": name, "namespace": plan.namespace},
        "spec": {**spec, "tenantRef": plan.name},
    }
    if "tenantRef" in spec and spec["tenantRef"] != plan.name:
        raise invalid(FieldFault("spec.tenantRef", "is given by `tenant`; leave it out"))
    try:
        # By the models that the CRDs are generated from: the operator would refuse it later, when
        # nobody is looking.
        parse(manifest)
    except InvalidManifests as error:
        raise invalid(*(FieldFault(one.field, one.message) for one in error.errors)) from None
    unknown = [
        FieldFault(f"spec.destinationRefs[{place}]", f"no Destination {wanted!r} of this tenant")
        for place, wanted in enumerate(spec.get("destinationRefs", ()))
        if plan.destination(wanted) is None
    ]
    if unknown:
        raise invalid(*unknown)
    return manifest


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
