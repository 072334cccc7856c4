"""What statuses say of a running tenant: figures, and the conditions that follow from what the
runtime sees. Pure.

Readiness is none of it: that says whether an object is in place as declared. Messages hold no
figures that move, so that a condition is written only when it means something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_crds.tenant_status import (
    ObservedDestination,
    ObservedFunnel,
    ObservedIntegration,
    ObservedTenant,
    Trouble,
)
from sinal_operator.cluster.conditions import DELIVERING, RECEIVING, ConditionVerdict, State

# Reasons
DELIVERS: Final = "Delivering"
NO_EVENTS: Final = "NoEventsYet"
NO_CREDENTIALS: Final = "CredentialsMissing"
RUNTIME_SILENT: Final = "RuntimeSilent"
SUSPENDED: Final = "Suspended"
FAILING: Final = "DestinationsFailing"
EVENTS_ARRIVE: Final = "EventsArrive"
SILENT: Final = "Silent"

# Conditions that are made of facts
CONDITIONS: Final = frozenset({DELIVERING, RECEIVING})
REFUSED_TOKEN: Final = frozenset({"TokenInvalid", "PermissionMissing"})

_TROUBLES: dict[Trouble, tuple[str, str]] = {
    "token": (
        "TokenInvalid",
        "Meta refuses the access token{code}; put a new one into the Secret: what waits is sent "
        "then",
    ),
    "permission": (
        "PermissionMissing",
        "the access token may not write to this pixel{code}; give its system user the pixel, or "
        "put another token "
        "into the Secret",
    ),
    "setup": (
        "PixelRefused",
        "Meta knows no such pixel or dataset, or none that this token sees{code}; correct "
        "spec.meta",
    ),
    "service": (
        "BreakerOpen",
        "Meta does not answer as it should, so the breaker is open; it is tried again by itself "
        "and nothing is lost",
    ),
    "throttled": (
        "Throttled",
        "Meta asks to wait{code}, and nothing has come through for a quarter of an hour",
    ),
    "rejected": (
        "EventsRejected",
        "Meta refuses most of the events: look at their reasons with `sinal dead-letters list`",
    ),
    "stalled": (
        "Stalled",
        "events have waited for a quarter of an hour and nobody sends them: does dispatch run?",
    ),
}
_SILENCE = (
    "the runtime told nothing in the last five minutes: does housekeeping run, and reach "
    "PostgreSQL and NATS?"
)

Fields = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What the runtime says, by slug; where it is not `fresh` nobody says it any more."""

    facts: Mapping[str, ObservedTenant]
    fresh: bool


@dataclass(frozen=True)
class StatusPart:
    """What follows for one object."""

    verdicts: tuple[ConditionVerdict, ...] = ()
    fields: Fields | None = None


def said(kind: str, name: str, plan: TenantPlan | None, told: Told) -> StatusPart:
    """What to say of an object of a tenant.

    Of one without a plan nothing, and what was said goes.
    """
    if plan is None:
        return StatusPart(fields=_FIELDS[kind](None, True))
    facts = told.facts.get(plan.slug) if told.fresh else None
    if kind == "Tenant":
        return StatusPart(_of_tenant(plan, facts, told), _FIELDS[kind](facts, told.fresh))
    if kind == "Destination":
        mine = facts.destinations.get(name) if facts else None
        declared = plan.destination(name)
        verdicts = (_delivering(plan, declared, mine, told),) if declared is not None else ()
        return StatusPart(verdicts, _FIELDS[kind](mine, told.fresh))
    parts: Mapping[str, ObservedFunnel] | Mapping[str, ObservedIntegration] = {}
    if facts is not None:
        parts = facts.funnels if kind == "Funnel" else facts.integrations
    return StatusPart(fields=_FIELDS[kind](parts.get(name), told.fresh))


def _delivering(
    plan: TenantPlan, declared: DestinationPlan, facts: ObservedDestination | None, told: Told
) -> ConditionVerdict:
    """Whether a destination's events arrive."""
    if not told.fresh:
        return _unknown(RUNTIME_SILENT, _SILENCE)
    if declared.problem is not None:
        return ConditionVerdict(DELIVERING, "False", NO_CREDENTIALS, declared.problem)
    if plan.rests(declared):
        whose = "the Tenant's " if plan.suspended else ""
        return _unknown(
            SUSPENDED,
            f"by {whose}spec.suspended nothing is sent: what waits leaves when it is false",
        )
    if facts is not None and facts.trouble is not None:
        reason, text = _TROUBLES[facts.trouble]
        return ConditionVerdict(DELIVERING, "False", reason, text.format(code=_code(facts)))
    if facts is None or facts.last_success is None:
        return _unknown(NO_EVENTS, "nothing has been sent yet")
    return ConditionVerdict(DELIVERING, "True", DELIVERS, "Meta takes its events")


def _of_tenant(
    plan: TenantPlan, facts: ObservedTenant | None, told: Told
) -> tuple[ConditionVerdict, ...]:
    found = {
        one.name: _delivering(plan, one, facts.destinations.get(one.name) if facts else None, told)
        for one in plan.destinations
    }
    return (*((_summary(found),) if found else ()), _receiving(plan, facts, told))


def _summary(found: Mapping[str, ConditionVerdict]) -> ConditionVerdict:
    failing = sorted(name for name, verdict in found.items() if verdict.state == "False")
    if failing:
        told = ", ".join(f"{name} ({found[name].reason})" for name in failing)
        return ConditionVerdict(DELIVERING, "False", FAILING, f"events do not arrive at {told}")
    if any(verdict.state == "True" for verdict in found.values()):
        return ConditionVerdict(DELIVERING, "True", DELIVERS, "Meta takes its events")
    return next(
        (verdict for verdict in found.values() if verdict.reason != SUSPENDED),
        next(iter(found.values())),
    )


def _receiving(plan: TenantPlan, facts: ObservedTenant | None, told: Told) -> ConditionVerdict:
    """Whether events come in as they use to."""
    state: State = "Unknown"
    if not told.fresh:
        reason, message = RUNTIME_SILENT, _SILENCE
    elif plan.suspended:
        reason, message = SUSPENDED, "by spec.suspended no events are taken"
    elif plan.funnels and all(funnel.suspended for funnel in plan.funnels):
        reason, message = SUSPENDED, "by spec.suspended of each of its Funnels no events are taken"
    elif facts is None or facts.last_event is None:
        reason, message = NO_EVENTS, "no event has come in yet"
    elif facts.silent:
        state, reason = "False", SILENT
        message = (
            "no event for a day, though each day of the week before had some: is the tracker still "
            "on the pages, and "
            "the webhook URL in the gateway's panel?"
        )
    else:
        state, reason, message = "True", EVENTS_ARRIVE, "events come in"
    return ConditionVerdict(RECEIVING, state, reason, message)


def _unknown(reason: str, message: str) -> ConditionVerdict:
    return ConditionVerdict(DELIVERING, "Unknown", reason, message)


def _code(facts: ObservedDestination) -> str:
    if facts.code is None:
        return ""
    return f" (code {facts.code}{f', subcode {facts.subcode}' if facts.subcode else ''})"


def moment(seconds: int | None) -> str | None:
    """A time as the API server writes it."""
    return (
        None
        if seconds is None
        else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )


# Figures go when nobody tells them any more. When the last event came stays true.
def _tenant_fields(facts: ObservedTenant | None, fresh: bool) -> Fields:
    lasting = {"lastEvent": moment(facts.last_event if facts else None)} if fresh else {}
    return {
        "backlog": facts.backlog if facts else None,
        "events24h": facts.events_24h if facts else None,
        "matchPercent": facts.match_percent if facts else None,
        **lasting,
    }


def _destination_fields(facts: ObservedDestination | None, fresh: bool) -> Fields:
    lasting = {"lastSuccess": moment(facts.last_success if facts else None)} if fresh else {}
    return {
        "backlog": facts.backlog if facts else None,
        "breaker": facts.breaker if facts else None,
        "deadLetters": facts.dead_letters if facts else None,
        **lasting,
    }


def _funnel_fields(facts: ObservedFunnel | None, fresh: bool) -> Fields:
    lasting = {"lastEvent": moment(facts.last_event if facts else None)} if fresh else {}
    return {
        "events24h": facts.events_24h if facts else None,
        "matchPercent": facts.match_percent if facts else None,
        **lasting,
    }


def _integration_fields(facts: ObservedIntegration | None, fresh: bool) -> Fields:
    lasting = {"lastDelivery": moment(facts.last_delivery if facts else None)} if fresh else {}
    return {
        "rejects": facts.rejects if facts else None,
        "drift": facts.drift if facts else None,
        **lasting,
    }


_FIELDS: dict[str, Any] = {
    "Tenant": _tenant_fields,
    "Destination": _destination_fields,
    "Funnel": _funnel_fields,
    "GatewayIntegration": _integration_fields,
}
