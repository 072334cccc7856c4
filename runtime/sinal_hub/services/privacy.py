"""What people ask of their data: to be forgotten, to see it, not to be used for ads (LGPD art.
18).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sinal_core.postgres.database import Database
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_hub.privacy.data_subject import NoSuchPerson, Person
from sinal_hub.privacy.erasure import Exporter
from sinal_hub.privacy.queues import Incoming, QuarantineReader
from sinal_hub.services.callers import Caller, no_tenant
from sinal_hub.services.errors import Conflict, FieldFault, Invalid, NotConfigured, NotFound
from sinal_hub.services.ports import Plans
from sinal_hub.status import ports
from sinal_hub.store.audit import AuditStore
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.privacy import Erasure, NewErasure, PrivacyStore, Traces

Told = Mapping[str, str | None]  # what is said of a person, by the field it was said in


class Exported(msgspec.Struct, kw_only=True, frozen=True):
    """Everything kept of a person, by table or queue, as it lies there: personal data is hashed,
    but in quarantine.
    """

    tenant: str
    exported_at: datetime
    data: dict[str, list[Any]]


class ConsentKept(msgspec.Struct, kw_only=True, frozen=True):
    """What a change of consent touched: rows by table."""

    tenant: str
    consent_ads: bool
    counts: dict[str, int]


class PrivacyService:
    """What may be done for a person; raises StoreUnavailable, BusError and errors of services."""

    def __init__(
        self, database: Database, bus: ports.Bus | None, plans: Plans, keyring: Keyring | None
    ) -> None:
        self._store, self._plans = PrivacyStore(database), plans
        self._audit = AuditStore(database)
        # Without keys nothing is exported at all: an export that leaves quarantine out looks
        # complete.
        self._exporter = None
        if bus is not None and keyring is not None:
            self._exporter = Exporter(
                database, Incoming(bus, MatchStore(database)), QuarantineReader(bus, keyring)
            )

    async def forget(self, caller: Caller, tenant: str | None, told: Told) -> Erasure:
        """Take an erasure on."""
        plan = self._plan(caller, tenant)
        person = _person(plan, told)
        await self._one_order(plan, told.get("order_id"))
        erasure_id, keys = "era_" + secrets.token_hex(8), person.keys(plan.slug)
        audit = caller.entry("privacy.erase", erasure_id, tenant=plan.slug, keys=keys)
        await self._store.request(
            NewErasure(id=erasure_id, subject=person.forget(plan.slug), keys=keys, audit=audit)
        )
        return await self.erasure(caller, erasure_id)

    async def erasure(self, caller: Caller, erasure_id: str) -> Erasure:
        """How far it is."""
        found = await self._store.erasure(caller.tenant, erasure_id)
        if found is None:
            raise NotFound(f"no erasure {erasure_id[:64]!r}")
        return found

    async def export(self, caller: Caller, tenant: str | None, told: Told) -> Exported:
        """Show everything; that it was shown is written down first."""
        plan = self._plan(caller, tenant)
        person = _person(plan, told)
        if self._exporter is None:
            raise NotConfigured(
                "this API has no keys to open quarantine with: set SINAL_KEYRING_FILE"
            )
        await self._one_order(plan, told.get("order_id"))
        await self._audit.write(
            caller.entry("privacy.export", "person", tenant=plan.slug, keys=person.keys(plan.slug))
        )
        data = await self._exporter.export(person.forget(plan.slug), country=plan.country)
        return Exported(tenant=plan.slug, exported_at=datetime.now(UTC), data=data)

    async def consent(
        self, caller: Caller, tenant: str | None, told: Told, *, granted: bool
    ) -> ConsentKept:
        """Keep a person's word on ads."""
        plan = self._plan(caller, tenant)
        person = _person(plan, told)
        traces = Traces(
            tenant=plan.slug,
            keys=person.keys(plan.slug),
            emails=person.emails,
            phones=person.phones,
            clicks=person.clicks,
            externals=person.externals,
            digests=person.digests,
        )
        word = "given" if granted else "withdrawn"
        counts = await self._store.consent(
            traces,
            granted=granted,
            at=datetime.now(UTC),
            audit=caller.entry(
                f"privacy.consent_{word}", "person", tenant=plan.slug, keys=traces.keys
            ),
        )
        return ConsentKept(tenant=plan.slug, consent_ads=granted, counts=counts)

    async def _one_order(self, plan: TenantPlan, order: str | None) -> None:
        """Raises Conflict for a number that orders of several gateways have: those are of several
        people.
        """
        gateways = await self._store.gateways_of(plan.slug, order) if order is not None else []
        if len(gateways) > 1:
            message = (
                f"orders of several gateways have this number ({', '.join(gateways)}), mostly of "
                "different people: "
                "give the person's e-mail or phone instead"
            )
            raise Conflict(f"order_id: {message}", [FieldFault("order_id", message)])

    def _plan(self, caller: Caller, tenant: str | None) -> TenantPlan:
        slug = caller.scope(tenant)
        if slug is None:
            fault = FieldFault("tenant", "needed with a platform's key")
            raise Invalid("tenant: name it, as this key is the platform's", [fault])
        tenants: Mapping[str, TenantPlan] = self._plans.snapshot.tenants
        plan = tenants.get(slug)
        if plan is None:
            raise no_tenant(slug)
        return plan


def _person(plan: TenantPlan, told: Told) -> Person:
    if not any(told.values()):
        names = ", ".join(told)
        raise Invalid(f"give one of {names}", [FieldFault(name, "none is given") for name in told])
    try:
        return Person.of(country=plan.country, **told)
    except NoSuchPerson as error:
        raise Invalid(str(error), [FieldFault(error.field, str(error))]) from None
