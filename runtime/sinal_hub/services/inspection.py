"""The state of the platform as one caller may see it: what `sinal doctor` looks at.

Every finding names its place and the way out, so that the doctor only has to print it.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from sinal_core.nats.depth import Depth
from sinal_core.nats.errors import BusError
from sinal_core.nats.jetstream import JetStream
from sinal_core.plans.snapshot import HeldPlan
from sinal_core.postgres.errors import StoreError
from sinal_crds import names
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.meta.tokens import TokenState
from sinal_hub.services import dependencies, destinations, doors, ownerless
from sinal_hub.services.callers import Caller
from sinal_hub.services.findings import Area, Finding, Grade
from sinal_hub.services.ports import Bus, Check, Plans, Tokens
from sinal_hub.status.measurements import UNHEARD
from sinal_hub.store.api_keys import KeyStore
from sinal_hub.store.migrate import load_migrations
from sinal_hub.store.owners import home
from sinal_hub.store.refusals import RefusalStore
from sinal_hub.store.schema import Schema, SchemaStore
from sinal_hub.store.tenant_status import TenantStatusStore

MOST_TENANTS = 50  # looked at by one call; `tenant` asks for one of more
CLOCK_S = 2.0
EXPIRES_SOON = timedelta(days=7)
BACKLOG = 10_000
NAMED = 10  # tenants that are named where a name is of none


class Status(msgspec.Struct, kw_only=True, frozen=True):
    """Everything that was looked at; `ok` when nothing has failed. `now` is the API's clock."""

    ok: bool
    now: datetime
    findings: list[Finding]


ADVICE = {
    "postgres": "start PostgreSQL, or correct SINAL_DATABASE_URL; events wait in the broker "
    "meanwhile",
    "migrations": "run `sinal migrate` with this release",
    "nats": "start NATS with JetStream, or correct SINAL_NATS_URL; ingest keeps events on disk "
    "meanwhile",
    "plans": "start the operator (`sinal run operator --file …`): nothing has written the plans "
    "yet",
    "redis": "start Redis, or leave SINAL_REDIS_URL out; rate limits are kept per process "
    "meanwhile",
}


class Inspector:
    """Looks at everything; nothing that is away makes it fail."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        keys: KeyStore,
        schema: SchemaStore,
        facts: TenantStatusStore,
        refusals: RefusalStore,
        bus: Bus,
        plans: Plans,
        tokens: Tokens | None,
    ) -> None:
        self._checks, self._facts = checks, facts
        self._keys, self._schema = keys, schema
        self._refusals, self._bus, self._plans, self._tokens = refusals, bus, plans, tokens

    async def look(self, caller: Caller, tenant: str | None, *, tokens: bool) -> Status:
        """What the caller may see of it: a fault, and not what follows from it."""
        scope = caller.scope(tenant)
        everyone: Mapping[str, TenantPlan] = self._plans.snapshot.tenants
        chosen = [plan for slug, plan in everyone.items() if scope is None or slug == scope][
            :MOST_TENANTS
        ]
        # First who answers at all. A service that is away would be told once more by all that needs
        # it.
        services, depths, asked = await asyncio.gather(
            dependencies.ask(self._checks), self._depths(), self._asked(chosen if tokens else [])
        )
        has_database, has_broker = services.get("postgres", True), services.get("nats", True)
        clock, lanes, delivering, edge = await asyncio.gather(
            self._clock() if has_database else _nothing(),
            self._lanes(chosen, depths) if has_broker else _nothing(),
            destinations.look(self._facts, chosen, depths or (), asked)
            if has_database
            else _nothing(),
            doors.look(self._refusals, chosen, scope) if has_database else _nothing(),
        )
        held = [
            _held(one)
            for slug, one in self._plans.snapshot.held.items()
            if scope is None or slug == scope
        ]
        # A tenant's key must not learn the names of others from a guess: only the platform's gets
        # them.
        plans = held or _plans(chosen, scope, everyone if caller.tenant is None else {})
        plans += _plans(chosen, scope, {}) if held and chosen else []
        told = {one.subject for one in delivering if destinations.blames_token(one)}
        judged = [
            _token(*pair, state)
            for pair, state in asked.items()
            if f"{pair[0]}: {pair[1]}" not in told
        ]
        findings = [*_services(services), *clock, *plans, *lanes, *delivering, *edge, *judged]
        if caller.tenant is None and tenant is None:
            findings += await self._ownerless(
                everyone, has_database=has_database, has_broker=has_broker
            )
        failed = any(one.grade == "failed" for one in findings)
        return Status(ok=not failed, now=datetime.now(UTC), findings=findings)

    async def _ownerless(
        self, everyone: Mapping[str, TenantPlan], *, has_database: bool, has_broker: bool
    ) -> list[Finding]:
        """What is nobody's, which only the platform's administrator can put right."""
        known = {*everyone, *self._plans.snapshot.held}
        found = await asyncio.gather(
            ownerless.plans(self._bus) if has_broker else _nothing(),
            ownerless.queues(self._bus, known) if has_broker else _nothing(),
            ownerless.keys(self._keys) if has_database else _nothing(),
        )
        return [finding for part in found for finding in part]

    async def _depths(self) -> list[Depth] | None:
        """What waits, with ages; None where the broker does not say."""
        try:
            return list(await self._bus.depths(ages=True))
        except BusError:
            return None

    async def _clock(self) -> list[Finding]:
        try:
            async with asyncio.timeout(dependencies.PATIENCE_S):
                schema = await self._schema.read()
        except (StoreError, TimeoutError):
            return []
        return [_clock(schema, datetime.now(UTC)), _schema(schema)]

    async def _lanes(self, plans: list[TenantPlan], depths: list[Depth] | None) -> list[Finding]:
        if depths is None:
            return [_failed("lanes", "broker", "it does not say what waits", ADVICE["nats"])]
        found = await asyncio.gather(*(self._lane(plan, depths) for plan in plans))
        mine = {plan.slug for plan in plans}
        resting = {
            (plan.slug, names.dispatch_consumer(one.name))
            for plan in plans for one in plan.destinations if plan.rests(one)
        }  # fmt: skip
        full = [
            one for one in depths
            if one.tenant in mine and one.pending > BACKLOG and (one.tenant, one.consumer) not in resting
        ]  # fmt: skip
        return [*found] + [
            Finding(
                area="lanes", subject=f"{one.tenant}/{one.consumer}", grade="warning", detail=f"{one.pending} wait",
                advice=f"run more of the {one.role} role, or look whether it is held up",
            )
            for one in full
        ]  # fmt: skip

    async def _lane(self, plan: TenantPlan, depths: list[Depth]) -> Finding:
        wanted = {
            names.MATCH_CONSUMER,
            *(names.dispatch_consumer(one.name) for one in plan.destinations),
        }
        try:
            missing = wanted - await JetStream(self._bus.api).consumer_names(
                names.stream(plan.slug)
            )
        except BusError:
            return _failed("lanes", plan.slug, "the broker does not answer", ADVICE["nats"])
        if missing:
            advice = "start the operator: it makes lanes again within seconds"
            return _failed("lanes", plan.slug, f"missing: {', '.join(sorted(missing))}", advice)
        return _waits(plan, len(wanted), [one for one in depths if one.tenant == plan.slug])

    async def _asked(self, plans: list[TenantPlan]) -> dict[destinations.Pair, TokenState | None]:
        """What Meta says of each token; a destination without one is told of by its plan."""
        tokens = self._tokens
        if tokens is None:
            return {}
        asked = [
            (plan, one)
            for plan in plans
            for one in plan.destinations
            if one.access_token and not plan.rests(one)
        ]
        # Each question opens a connection of its own to Meta, and fifty tenants have many tokens.
        gate = asyncio.Semaphore(8)

        async def one(destination: DestinationPlan) -> TokenState | None:
            async with gate:
                return await tokens.check(destination)

        states = await asyncio.gather(*(one(destination) for _, destination in asked))
        return {
            (plan.slug, one.name): state for (plan, one), state in zip(asked, states, strict=True)
        }


def _failed(area: Area, subject: str, detail: str, advice: str) -> Finding:
    return Finding(area=area, subject=subject, grade="failed", detail=detail, advice=advice)


async def _nothing() -> list[Finding]:
    return []


def _services(answers: Mapping[str, bool]) -> list[Finding]:
    """One a service.

    Without PostgreSQL nobody knows its tables, and without the broker plans are not told.
    """
    shadows = {"migrations": "postgres", "plans": "nats"}
    told = {
        name: fine
        for name, fine in answers.items()
        if fine or answers.get(shadows.get(name, ""), True)
    }
    return [_service(name, fine) for name, fine in told.items()]


def _service(name: str, fine: bool) -> Finding:
    if fine:
        return Finding(area="services", subject=name, grade="ok", detail="answers")
    grade: Grade = "warning" if name in dependencies.OPTIONAL else "failed"
    return Finding(
        area="services",
        subject=name,
        grade=grade,
        detail="does not answer",
        advice=ADVICE.get(name),
    )


def _waits(plan: TenantPlan, lanes: int, depths: list[Depth]) -> Finding:
    """What waits to be matched; what waits for destinations is told of them."""
    slug = plan.slug
    now, queue = (
        datetime.now(UTC),
        next((one for one in depths if one.consumer == names.MATCH_CONSUMER), None),
    )
    if queue is None or not queue.messages:
        return Finding(
            area="lanes",
            subject=slug,
            grade="ok",
            detail=f"{lanes} lanes, nothing waits to be matched",
        )
    waited = now - (queue.oldest_at or now)
    detail = (
        f"{lanes} lanes, {queue.messages} wait to be matched, the oldest for "
        f"{destinations.age(waited)}"
    )
    if waited <= UNHEARD:
        return Finding(area="lanes", subject=slug, grade="ok", detail=detail)
    # notices of what is suspended wait to be read back
    if any(map(plan.refuses, plan.integrations)):
        return Finding(
            area="lanes", subject=slug, grade="ok", detail=f"{detail}: an integration is suspended"
        )
    return _failed(
        "lanes", slug, detail, "look at the match role: is it running, does PostgreSQL answer it?"
    )


def _clock(schema: Schema, now: datetime) -> Finding:
    off_s = abs((schema.now - now).total_seconds())
    if off_s <= CLOCK_S:
        return Finding(area="clocks", subject="postgres", grade="ok", detail=f"{off_s:.1f} s apart")
    return Finding(
        area="clocks",
        subject="postgres",
        grade="failed",
        detail=f"PostgreSQL's clock and the API's are {off_s:.1f} s apart",
        advice="run NTP on both machines: windows, leases and Meta's 7 days are judged by these "
        "clocks",
    )


def _schema(schema: Schema) -> Finding:
    newest = load_migrations()[-1].version
    if schema.version == newest:
        return Finding(
            area="services", subject="schema", grade="ok", detail=f"version {schema.version}"
        )
    return _failed(
        "services",
        "schema",
        f"version {schema.version}, this release has {newest}",
        ADVICE["migrations"],
    )


def _plans(
    plans: list[TenantPlan], scope: str | None, everyone: Mapping[str, TenantPlan]
) -> list[Finding]:
    if plans:
        return [finding for plan in plans for finding in _plan(plan)]
    if scope is None or not everyone:
        return [
            _failed(
                "plans",
                scope or "platform",
                "there is no plan",
                "declare a Tenant and start the operator",
            )
        ]
    meant = difflib.get_close_matches(scope, everyone, n=1)
    others = ", ".join(sorted(everyone)[:NAMED]) + (", …" if len(everyone) > NAMED else "")
    advice = f"did you mean {meant[0]}? There are: {others}" if meant else f"there are: {others}"
    return [_failed("plans", scope, "there is no tenant of this name", advice)]


def _held(held: HeldPlan) -> Finding:
    """A Tenant that took the slug of another one's data: nothing of it is worked on."""
    slug, taker = held.plan.slug, home(held.plan.namespace, held.plan.name)
    if held.owner.leaving:
        detail = f"the data of {held.owner.home}, which was deleted, are being removed"
        advice = (
            f"{taker} works as soon as that is done; where it takes minutes, look at housekeeping"
        )
        return Finding(area="plans", subject=slug, grade="warning", detail=detail, advice=advice)
    detail = (
        f"SlugTakenOver: the Tenant {taker} has the slug, and the data under it are those of "
        f"{held.owner.home}"
    )
    advice = (
        f"what comes in waits in its queue: give it the data with `sinal tenants handover {slug}`, "
        "or give it another spec.slug"
    )
    return _failed("plans", slug, detail, advice)


def _plan(plan: TenantPlan) -> list[Finding]:
    """Objects that cannot be used: their destinations send nothing, their gateways are refused."""
    problems = [
        (f"Destination {one.name}", one.problem) for one in plan.destinations if one.problem
    ]
    problems += [
        (f"GatewayIntegration {one.name}", one.problem) for one in plan.integrations if one.problem
    ]
    found = [
        _failed(
            "plans",
            f"{plan.slug}: {what}",
            problem,
            "correct the manifest or its Secret: it is taken at once",
        )
        for what, problem in problems
        if problem
    ]
    found += [_suspended(f"{plan.slug}: {what}", stops) for what, stops in _stopped(plan)]
    detail = f"{len(plan.funnels)} funnels, {len(plan.destinations)} destinations"
    return found or [Finding(area="plans", subject=plan.slug, grade="ok", detail=detail)]


def _stopped(plan: TenantPlan) -> Iterator[tuple[str, str]]:
    """What somebody has stopped, and what that stops.

    Of a tenant's parts nothing where all of it is stopped.
    """
    if plan.suspended:
        yield "Tenant", "nothing is taken and nothing is sent; what waits leaves when it is resumed"
        return
    for funnel in plan.funnels:
        if funnel.suspended:
            yield f"Funnel {funnel.name}", "it takes no events"
    for destination in plan.destinations:
        if destination.suspended:
            yield (
                f"Destination {destination.name}",
                "nothing is sent to it; what waits leaves when it is resumed",
            )
    for integration in plan.integrations:
        if integration.suspended:
            yield (
                f"GatewayIntegration {integration.name}",
                "it takes no deliveries; the gateway is asked to come again",
            )


def _suspended(subject: str, stops: str) -> Finding:
    advice = "that is as declared: `suspended: false` in its manifest resumes it"
    return Finding(
        area="plans",
        subject=subject,
        grade="warning",
        detail=f"it is suspended: {stops}",
        advice=advice,
    )


def _token(tenant: str, destination: str, state: TokenState | None) -> Finding:
    subject = f"{tenant}: {destination}"
    if state is None:
        detail, advice = (
            "Meta does not answer about its token",
            "look at the way out of your network",
        )
        return Finding(
            area="tokens", subject=subject, grade="warning", detail=detail, advice=advice
        )
    if not state.valid:
        advice = "make a new token in Events Manager and put it into the destination's Secret"
        return _failed("tokens", subject, state.problem or "its token is not valid", advice)
    if state.expires_at is not None and state.expires_at - datetime.now(UTC) < EXPIRES_SOON:
        detail, advice = (
            f"its token ends on {state.expires_at:%Y-%m-%d}",
            "make a token of a system user: it does not end",
        )
        return Finding(
            area="tokens", subject=subject, grade="warning", detail=detail, advice=advice
        )
    return Finding(area="tokens", subject=subject, grade="ok", detail="its token is valid")
