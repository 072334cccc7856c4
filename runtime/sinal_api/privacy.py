"""Routes of what people ask of their data: to be forgotten, to see it, not to be used for ads (LGPD art. 18)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sinal_api.access import Admin, Caller, Operator
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.ports import Plans
from sinal_api.problems import Refused
from sinal_core.postgres.database import Database
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_hub.privacy.data_subject import NoSuchPerson, Person
from sinal_hub.privacy.erasure import Exporter
from sinal_hub.privacy.queues import Incoming, Quarantine
from sinal_hub.status import ports
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.operations import OperationsStore
from sinal_hub.store.privacy import Erasure, NewErasure, PrivacyStore, Traces

Text = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\x00]+$")]


class WhoseData(BaseModel):
    """Body: whose data it is; what is given together is taken as one person."""

    model_config = ConfigDict(extra="forbid")

    tenant: Word | None = Field(None, description="Needed with a key of the platform.")
    email: Text | None = Field(None, description="In clear, or its SHA-256 as Meta has it. It is hashed on arrival.")
    phone: Text | None = Field(None, description="Likewise.")
    order_id: Text | None = Field(None, description="The gateway's number of an order.")


class WhoseConsent(BaseModel):
    """Body: who consents to ads or no longer does."""

    model_config = ConfigDict(extra="forbid")

    tenant: Word | None = Field(None, description="Needed with a key of the platform.")
    email: Text | None = None
    phone: Text | None = None
    click_id: Text | None = None
    external_id: Text | None = None
    consent_ads: bool


class Exported(msgspec.Struct, kw_only=True, frozen=True):
    """Everything kept of a person, by table or queue, as it lies there: personal data is hashed, but in quarantine."""

    tenant: str
    exported_at: datetime
    data: dict[str, list[Any]]


class ConsentKept(msgspec.Struct, kw_only=True, frozen=True):
    """What a change of consent touched: rows by table."""

    tenant: str
    consent_ads: bool
    counts: dict[str, int]


SCHEMAS = (Erasure, Exported, ConsentKept)


class Privacy:
    """What the routes do; raises StoreUnavailable, BusError, Refused."""

    def __init__(self, database: Database, bus: ports.Bus | None, plans: Plans, keyring: Keyring | None) -> None:
        self._store, self._plans = PrivacyStore(database), plans
        self._audit = OperationsStore(database)
        self._exporter = None
        if bus is not None and keyring is not None:
            self._exporter = Exporter(database, Incoming(bus, MatchStore(database)), Quarantine(bus, keyring))

    async def forget(self, caller: Caller, body: WhoseData) -> Erasure:
        """Take an erasure on."""
        plan = self._plan(caller, body.tenant)
        person = _person(plan, body.model_dump(exclude={"tenant"}))
        await self._one_order(plan, body.order_id)
        erasure_id, keys = "era_" + secrets.token_hex(8), person.keys(plan.slug)
        audit = caller.entry("privacy.erase", erasure_id, tenant=plan.slug, keys=keys)
        await self._store.request(NewErasure(id=erasure_id, subject=person.forget(plan.slug), keys=keys, audit=audit))
        return await self.erasure(caller, erasure_id)

    async def erasure(self, caller: Caller, erasure_id: str) -> Erasure:
        """How far it is."""
        found = await self._store.erasure(caller.tenant, erasure_id)
        if found is None:
            raise HTTPException(404, f"no erasure {erasure_id[:64]!r}")
        return found

    async def export(self, caller: Caller, body: WhoseData) -> Exported:
        """Show everything; that it was shown is written down first."""
        plan = self._plan(caller, body.tenant)
        person = _person(plan, body.model_dump(exclude={"tenant"}))
        if self._exporter is None:  # no 503: asking again does not help
            raise HTTPException(501, "this API has no keys to open quarantine with: set SINAL_KEYRING_FILE")
        await self._one_order(plan, body.order_id)
        await self._audit.write(caller.entry("privacy.export", "person", tenant=plan.slug, keys=person.keys(plan.slug)))
        data = await self._exporter.export(person.forget(plan.slug), country=plan.country)
        return Exported(tenant=plan.slug, exported_at=datetime.now(UTC), data=data)

    async def consent(self, caller: Caller, body: WhoseConsent) -> ConsentKept:
        """Keep a person's word on ads."""
        plan = self._plan(caller, body.tenant)
        person = _person(plan, body.model_dump(exclude={"tenant", "consent_ads"}))
        traces = Traces(
            tenant=plan.slug,
            keys=person.keys(plan.slug),
            emails=person.emails,
            phones=person.phones,
            clicks=person.clicks,
            externals=person.externals,
            digests=person.digests,
        )
        word = "given" if body.consent_ads else "withdrawn"
        counts = await self._store.consent(
            traces,
            granted=body.consent_ads,
            at=datetime.now(UTC),
            audit=caller.entry(f"privacy.consent_{word}", "person", tenant=plan.slug, keys=traces.keys),
        )
        return ConsentKept(tenant=plan.slug, consent_ads=body.consent_ads, counts=counts)

    async def _one_order(self, plan: TenantPlan, order: str | None) -> None:
        """Raises Refused for a number that orders of several gateways have: those are of several people."""
        gateways = await self._store.gateways_of(plan.slug, order) if order is not None else []
        if len(gateways) > 1:
            message = (
                f"orders of several gateways have this number ({', '.join(gateways)}), mostly of different people: "
                "give the person's e-mail or phone instead"
            )
            raise Refused(409, f"order_id: {message}", [{"field": "order_id", "message": message}])

    def _plan(self, caller: Caller, tenant: str | None) -> TenantPlan:
        slug = caller.scope(tenant)
        if slug is None:
            raise Refused(
                400,
                "tenant: name it, as this key is the platform's",
                [{"field": "tenant", "message": "needed with a platform's key"}],
            )
        tenants: Mapping[str, TenantPlan] = self._plans.snapshot.tenants
        plan = tenants.get(slug)
        if plan is None:
            raise HTTPException(404, f"no tenant {slug[:64]!r}")
        return plan


def routes(privacy: Privacy) -> APIRouter:
    """Erasure, export, consent."""
    router = APIRouter(prefix="/api/v1/privacy", tags=["privacy"])

    @router.post("/erasures", status_code=202, responses=says(Erasure, status=202), summary="Forget a person")
    async def erase(caller: Admin, body: WhoseData) -> Response:
        """From the answer on nothing of the person comes in; what is there goes within minutes. Ask the id how far."""
        return answer(await privacy.forget(caller, body), status=202)

    @router.get("/erasures/{erasure_id}", responses=shows(Erasure), summary="How far an erasure is")
    async def erasure(request: Request, caller: Admin, erasure_id: Word) -> Response:
        """`counts` says what was found where; it names nobody."""
        return tagged(request, await privacy.erasure(caller, erasure_id))

    @router.post("/exports", responses=says(Exported), summary="Everything kept of a person")
    async def export(caller: Admin, body: WhoseData) -> Response:
        """Reads whole tables: it may take a minute on a large tenant."""
        return answer(await privacy.export(caller, body))

    @router.post("/consent", responses=says(ConsentKept), summary="Withdraw consent to ads, or give it")
    async def consent(caller: Operator, body: WhoseConsent) -> Response:
        """Withdrawing stops what waits (`withheld: no_consent`) and holds for what comes, until it is given again."""
        return answer(await privacy.consent(caller, body))

    return router


def _person(plan: TenantPlan, told: dict[str, str | None]) -> Person:
    if not any(told.values()):
        names = ", ".join(told)
        raise Refused(400, f"give one of {names}", [{"field": name, "message": "none is given"} for name in told])
    try:
        return Person.of(country=plan.country, **told)
    except NoSuchPerson as error:
        raise Refused(400, str(error), [{"field": error.field, "message": str(error)}]) from None
