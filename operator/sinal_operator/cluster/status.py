"""Statuses of objects from what was compiled and what NATS was brought to. Pure.

An object is ready when it works as declared, by itself and with what it refers to: nothing is wrong
with it, and the plan that the runtime has contains it as it stands. `judge` gives None where
nothing is known yet: then the status stays as it is, which for a new object is `Ready=Unknown`, set
by the API server itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from sinal_crds import names
from sinal_crds.loading import ObjectKey
from sinal_crds.models import Destination, Funnel, GatewayIntegration, Tenant
from sinal_crds.plan import TenantPlan
from sinal_crds.references import SECRET_MALFORMED, SECRET_REASONS, ReferenceProblem
from sinal_operator.cluster import tenant_status
from sinal_operator.cluster.conditions import (
    CREDENTIALS,
    PAUSED,
    PROVISIONED,
    READY,
    ConditionVerdict,
    find,
    merged,
)
from sinal_operator.cluster.object_cache import PAUSED as PAUSED_ANNOTATION
from sinal_operator.cluster.object_cache import Seen
from sinal_operator.cluster.tenant_status import Told
from sinal_operator.provision.report import TenantReport

# Reasons beside those of sinal_crds.references.
IS_READY: Final = "Ready"
SUSPENDED: Final = "Suspended"
PROVISIONED_AS_DECLARED: Final = "AsDeclared"
SECRET_FOUND: Final = "SecretFound"  # noqa: S105 - a reason, no secret
INVALID: Final = "Invalid"
MEMBER_INVALID: Final = "MemberInvalid"
DELETING: Final = "Deleting"
BROKER_UNAVAILABLE: Final = "BrokerUnavailable"
TENANT_NOT_READY: Final = "TenantNotReady"
STREAM_FOREIGN: Final = "StreamForeign"
BLOCKED: Final = "ProvisioningBlocked"
FAILED: Final = "ProvisioningFailed"

# A tenant whose routes are contested works all the same, as far as anybody here can see.
STILL_ROUTED: Final = frozenset({"HostContested"})

_TROUBLES = {"foreign": STREAM_FOREIGN, "blocked": BLOCKED, "failed": FAILED}
_CREDENTIAL_REASONS = SECRET_REASONS | {SECRET_MALFORMED}

Fields = dict[str, Any]
Part = Callable[[TenantPlan], object]  # picks an object's part of its tenant's plan


@dataclass(frozen=True)
class Judgement:
    """The verdicts on one object and the fields of its status beside the conditions.

    None removes a field.

    A `partial` one leaves what it does not speak of as it is, the observed generation included.
    """

    verdicts: tuple[ConditionVerdict, ...]
    fields: Fields = field(default_factory=dict)
    partial: bool = False
    # conditions that stay as they are though no verdict speaks of them
    keeps: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StatusInputs:
    """Everything that statuses are made of, at one moment."""

    plans: Mapping[str, TenantPlan]  # as compiled now, by slug
    minted: Mapping[str, Any] = field(default_factory=dict, repr=False)
    minted_at: int | None = None  # since when, while what was minted before is taken too
    problems: Mapping[ObjectKey, Sequence[ReferenceProblem]] = field(default_factory=dict)
    reports: Mapping[str, TenantReport] = field(default_factory=dict)
    # what the runtime was given, by slug
    active: Mapping[str, TenantPlan] = field(default_factory=dict)
    held: Mapping[ObjectKey, str] = field(default_factory=dict)  # tenants left alone, and why
    paused: frozenset[ObjectKey] = frozenset()  # tenants
    # what they refer to may be in the same `kubectl apply`
    young: frozenset[ObjectKey] = frozenset()
    broker_trouble: str = ""  # for a person; empty while NATS answers, or has only just ceased to
    ingest_url: str = ""
    slugs: Mapping[ObjectKey, str] = field(default_factory=dict)  # of tenants that have a plan
    # of tenants, where routes are made
    routes: Mapping[ObjectKey, ConditionVerdict] = field(default_factory=dict)
    told: Told | None = None  # by the runtime; None while nothing was heard yet

    def plan(self, tenant: ObjectKey) -> TenantPlan | None:
        """The plan that a tenant compiles to."""
        return self.plans.get(self.slugs.get(tenant, ""))


def judge(seen: Seen, world: StatusInputs) -> Judgement | None:
    """What to say of an object; None leaves its status as it is."""
    if seen.manifest is None:
        fault = f"this release of the operator can't read it: {seen.fault}"
        return Judgement((ConditionVerdict(READY, "False", INVALID, fault),))
    if seen.tenant in world.paused and not seen.deleting:
        return _with_facts(seen, Judgement((_paused(seen),), partial=True), world)
    if seen.key in world.young and any(
        problem.target is not None for problem in world.problems.get(seen.key, ())
    ):
        return None
    judgement = _JUDGES[seen.key[0]](seen, world)
    return judgement if judgement is None or seen.deleting else _with_facts(seen, judgement, world)


def patch(seen: Seen, judgement: Judgement, *, now: datetime) -> dict[str, Any]:
    """What to merge into the object's status; empty when it says so already."""
    current = seen.status
    conditions = current.get("conditions") or []
    fresh = merged(
        conditions,
        judgement.verdicts,
        generation=seen.generation,
        now=now,
        partial=judgement.partial,
        keep=judgement.keeps,
    )
    wanted: dict[str, Any] = {"conditions": fresh, **judgement.fields}
    if not judgement.partial:
        wanted["observedGeneration"] = seen.generation
    return {name: value for name, value in wanted.items() if current.get(name) != value}


def _with_facts(seen: Seen, judgement: Judgement, world: StatusInputs) -> Judgement:
    """The judgement with what the runtime tells.

    As long as it has told nothing, what was said before stays.
    """
    if world.told is None:
        return replace(judgement, keeps=tenant_status.CONDITIONS)
    found = tenant_status.said(seen.key[0], seen.key[2], world.plan(seen.tenant), world.told)
    refused = next(
        (one for one in found.verdicts if one.reason in tenant_status.REFUSED_TOKEN), None
    )
    ours = tuple(
        # That a Secret is there says little about a token that Meta refuses.
        refused.of(CREDENTIALS)
        if refused and one.type == CREDENTIALS and one.state == "True"
        else one
        for one in judgement.verdicts
    )
    return replace(
        judgement, verdicts=(*ours, *found.verdicts), fields=judgement.fields | (found.fields or {})
    )


def _paused(seen: Seen) -> ConditionVerdict:
    whose = "" if seen.key[0] == "Tenant" else "the Tenant has "
    message = (
        f"{whose}the annotation {PAUSED_ANNOTATION}: what is provisioned stays as it is "
        "until it is removed"
    )
    return ConditionVerdict(PAUSED, "True", "Paused", message)


def _tenant(seen: Seen, world: StatusInputs) -> Judgement | None:
    if seen.deleting:
        return Judgement((_leaving(world),))
    problems = world.problems.get(seen.key, ())
    slug = world.slugs.get(seen.key)
    routes = world.routes.get(seen.key)
    routed = (routes,) if routes is not None else ()
    if slug is None:
        lost = _of_problems(problems) if problems else None
        return (
            Judgement((lost, lost.of(PROVISIONED), *routed), {"stream": None, "planHash": None})
            if lost
            else None
        )
    provisioned = _provisioning(seen.key, slug, world)
    if provisioned is None:
        return None
    report = world.reports.get(slug)
    known = (
        {"stream": report.stream, "planHash": report.plan_hash}
        if report is not None and report.ready
        else {}
    )
    if provisioned.state != "True":
        ready = ConditionVerdict(READY, "False", provisioned.reason, provisioned.message)
        return Judgement((ready, provisioned, *routed), known)
    ready = _of_problems(problems) if problems else _reached(seen, _ready(seen), routes)
    return Judgement((ready, provisioned, *routed), known)


def _leaving(world: StatusInputs) -> ConditionVerdict:
    message = (
        "it is being deleted: its plan is taken away, then its deletionPolicy decides about "
        "its queue"
    )
    return ConditionVerdict(
        READY,
        "False",
        DELETING,
        f"{message}; {world.broker_trouble}" if world.broker_trouble else message,
    )


def _ready(seen: Seen) -> ConditionVerdict:
    if isinstance(seen.manifest, Tenant) and seen.manifest.spec.suspended:
        return ConditionVerdict(
            READY,
            "True",
            SUSPENDED,
            "provisioned, and by spec.suspended it takes and sends no events",
        )
    return ConditionVerdict(READY, "True", IS_READY, "events can flow")


def _reached(
    seen: Seen, ready: ConditionVerdict, routes: ConditionVerdict | None
) -> ConditionVerdict:
    """Ready of a tenant that is provisioned: its routes must be there too.

    While nothing is known of them, one that was ready stays so: a Gateway judges each change anew.
    """
    if routes is None or routes.state == "True" or routes.reason in STILL_ROUTED:
        return ready
    was_ready = find(seen.status.get("conditions") or (), READY).get("status") == "True"
    return ready if routes.state == "Unknown" and was_ready else routes.of(READY)


def _provisioning(key: ObjectKey, slug: str, world: StatusInputs) -> ConditionVerdict | None:
    """What became of a tenant's stream, consumers and plan."""
    if held := world.held.get(key):
        return ConditionVerdict(PROVISIONED, "False", MEMBER_INVALID, held)
    if world.broker_trouble:
        return ConditionVerdict(PROVISIONED, "Unknown", BROKER_UNAVAILABLE, world.broker_trouble)
    report = world.reports.get(slug)
    # A report of an older plan says nothing about the one that was declared since.
    if report is None or (report.ready and world.active.get(slug) != world.plans.get(slug)):
        return None
    notes = "; ".join(report.reasons)
    if not report.ready:
        return ConditionVerdict(PROVISIONED, "False", _TROUBLES.get(report.result, FAILED), notes)
    lanes = len(report.consumers)
    message = f"stream {report.stream} with {lanes} consumers, and the plan"
    return ConditionVerdict(
        PROVISIONED, "True", PROVISIONED_AS_DECLARED, f"{message}; {notes}" if notes else message
    )


def _destination(seen: Seen, world: StatusInputs) -> Judgement | None:
    name = seen.key[2]

    def part(plan: TenantPlan) -> object:
        return plan.destination(name)

    ready = _member(seen, world, part, "events for it can be sent")
    if ready is None:
        return None
    plan = world.plan(seen.tenant)
    if plan is None:
        return Judgement((ready,), {"consumer": None})
    consumer = names.dispatch_consumer(name)
    lacking = _lacking(seen, world, part)
    provisioned = lacking or ConditionVerdict(
        PROVISIONED, "True", PROVISIONED_AS_DECLARED, f"consumer {consumer}"
    )
    secret = _credentials(seen, world, "the access token is there")
    fields = {} if lacking else {"consumer": consumer}
    return Judgement((ready, provisioned.of(PROVISIONED), secret), fields)


def _funnel(seen: Seen, world: StatusInputs) -> Judgement | None:
    name = seen.key[2]
    ready = _member(
        seen, world, lambda plan: plan.funnel(name), "its pages and sales are known to the runtime"
    )
    if ready is None:
        return None
    plan = world.plan(seen.tenant)
    funnel = plan.funnel(name) if plan is not None else None
    if funnel is None:
        return Judgement((ready,), {"publicKey": None, "alsoTaken": None})
    return Judgement(
        (ready,), {"publicKey": funnel.public_key, "alsoTaken": _also_taken("keys", world)}
    )


def _integration(seen: Seen, world: StatusInputs) -> Judgement | None:
    name = seen.key[2]

    def part(plan: TenantPlan) -> object:
        return plan.integration(name)

    ready = _member(seen, world, part, "deliveries to its webhookURL are taken")
    if ready is None:
        return None
    plan = world.plan(seen.tenant)
    if plan is None:
        return Judgement((ready,), {"webhookURL": None, "alsoTaken": None})
    secret = _credentials(seen, world, "what proves the gateway's deliveries is there")
    fields = {
        "webhookURL": webhook_url(plan.slug, name, world),
        "alsoTaken": _also_taken("URL", world),
    }
    return Judgement((ready, secret), fields)


def _also_taken(what: str, world: StatusInputs) -> str | None:
    """That what was minted before a rotation is not over yet.

    None where there is nothing of the kind.
    """
    if world.minted_at is None:
        return None
    since = datetime.fromtimestamp(world.minted_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"the {what} of before {since}, until `sinal keyring retire --mint`"


def webhook_url(slug: str, integration: str, world: StatusInputs) -> str:
    """Where a gateway posts, with the unguessable segment."""
    hook = world.minted[slug]["webhooks"][integration]
    return f"{world.ingest_url}/t/{slug}/api/v1/webhooks/{hook['gateway']}/{hook['token']}"


def _member(
    seen: Seen, world: StatusInputs, part: Part, when_ready: str
) -> ConditionVerdict | None:
    """Ready of an object that belongs to a tenant; None while nothing new is known."""
    if problems := world.problems.get(seen.key):
        return _of_problems(problems)
    if world.plan(seen.tenant) is None:
        return None
    lacking = _lacking(seen, world, part)
    if lacking is None:
        stopped = _stopped(seen)
        return ConditionVerdict(
            READY, "True", SUSPENDED if stopped else IS_READY, stopped or when_ready
        )
    if lacking.state == "Unknown" and seen.status.get("observedGeneration") == seen.generation:
        return None  # it was judged before NATS went away, and nothing says that it changed
    return lacking


def _stopped(seen: Seen) -> str:
    """What its spec.suspended stops; empty where it is not set."""
    match seen.manifest:
        case Destination() as found if found.spec.suspended:
            return "in place, and by spec.suspended nothing is sent to it: its events wait"
        case Funnel() as found if found.spec.suspended:
            return "in place, and by spec.suspended it takes no events"
        case GatewayIntegration() as found if found.spec.suspended:
            return (
                "in place, and by spec.suspended it takes no deliveries: the gateway is asked "
                "to come again"
            )
    return ""


def _lacking(seen: Seen, world: StatusInputs, part: Part) -> ConditionVerdict | None:
    """Why the runtime does not have the object as it stands; None when it does."""
    slug = world.slugs[seen.tenant]
    active, wanted = world.active.get(slug), world.plans[slug]
    if active is not None and part(active) == part(wanted):
        return None
    tenant = _provisioning(seen.tenant, slug, world)
    if tenant is None or tenant.state == "True":
        return ConditionVerdict(
            READY, "Unknown", TENANT_NOT_READY, "its Tenant is not provisioned yet"
        )
    message = f"Tenant {seen.tenant[2]}: {tenant.message}"
    if tenant.state == "Unknown":
        return ConditionVerdict(READY, "Unknown", tenant.reason, message)
    return ConditionVerdict(READY, "False", TENANT_NOT_READY, message)


def _credentials(seen: Seen, world: StatusInputs, fine: str) -> ConditionVerdict:
    problems = [p for p in world.problems.get(seen.key, ()) if p.reason in _CREDENTIAL_REASONS]
    if problems:
        return _of_problems(problems).of(CREDENTIALS)
    return ConditionVerdict(CREDENTIALS, "True", SECRET_FOUND, fine)


def _of_problems(problems: Sequence[ReferenceProblem]) -> ConditionVerdict:
    message = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
    return ConditionVerdict(READY, "False", problems[0].reason, message)


_JUDGES: dict[str, Callable[[Seen, StatusInputs], Judgement | None]] = {
    "Tenant": _tenant,
    "Destination": _destination,
    "Funnel": _funnel,
    "GatewayIntegration": _integration,
}
