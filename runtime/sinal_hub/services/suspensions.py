"""What is suspended: what stands still now, and the way to suspend and to resume.

Both change `spec.suspended` of the object where it is kept, as funnels are made there, and work
once the operator has seen it. Invariant: a tenant's key never changes its Tenant, which the
platform may have cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from sinal_crds.plan import TenantPlan
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Forbidden, Invalid, NotFound
from sinal_hub.services.keeping import keeping, place
from sinal_hub.services.manifest_sink import ManifestSink, ObjectRef
from sinal_hub.services.ports import Plans
from sinal_hub.store.audit import AuditStore

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


class SuspensionService:
    """What may be suspended and resumed."""

    def __init__(self, plans: Plans, sink: ManifestSink | None, audit: AuditStore) -> None:
        self._plans, self._sink, self._audit = plans, sink, audit

    def listed(self, caller: Caller, tenant: str | None) -> SuspendedPage:
        """From the compiled plans; raises NotFound."""
        scope = caller.scope(tenant)
        chosen = [
            plan
            for slug, plan in self._plans.snapshot.tenants.items()
            if scope is None or slug == scope
        ]
        return SuspendedPage(suspended=[one for plan in chosen for one in stopped(plan)])

    async def change(
        self, caller: Caller, *, tenant: str | None, kind: Kind, name: str, suspended: bool
    ) -> Changed:
        """Suspend or resume an object.

        Raises NotFound, Forbidden, Invalid, and what `keeping` does.
        """
        plan = caller.plan(self._plans, tenant or (name if kind == "Tenant" else None))
        if kind == "Tenant" and caller.tenant is not None:
            raise Forbidden("kind: a Tenant is suspended and resumed with a key of the platform")
        ref = _meant(plan, kind, name)
        with keeping():
            kept_as = await place(self._sink).set_suspended(ref, suspended)
        action = f"{kind.lower()}.{'suspend' if suspended else 'resume'}"
        await self._audit.write(caller.entry(action, name, tenant=plan.slug, kept_as=kept_as))
        return Changed(tenant=plan.slug, kind=kind, name=name, suspended=suspended, kept_as=kept_as)


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


def _meant(plan: TenantPlan, kind: Kind, name: str) -> ObjectRef:
    """The object that is meant; raises NotFound, Invalid."""
    if kind == "Tenant":
        if name != plan.slug:
            raise Invalid(f"name: is another than the tenant's slug, {plan.slug!r}")
        # With its UID: server-side apply makes an object that is missing, and a Tenant that was
        # deleted meanwhile must not come back.
        return ObjectRef("Tenant", plan.namespace, plan.name, plan.uid)
    if name not in (there := _parts(plan)[kind]):
        choices = f"there are: {', '.join(sorted(there)[:20])}" if there else "there is none yet"
        raise NotFound(f"no {kind} {name[:64]!r} of tenant {plan.slug!r}; {choices}")
    return ObjectRef(kind, plan.namespace, name)
