"""What became of each route, and the condition `RoutesAccepted` that a tenant's routes come to.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sinal_operator.cluster.conditions import ROUTES, ConditionVerdict, State
from sinal_operator.cluster.resources import Resource
from sinal_operator.cluster.routes.observed import Body, ObservedRoutes
from sinal_operator.cluster.routes.options import GatewayRef

MADE: Final = "RoutesMade"
ACCEPTED: Final = "RoutesAcceptedByGateway"
PENDING: Final = "RoutesPending"
HOST_CLAIMED: Final = "HostClaimed"
HOST_CONTESTED: Final = "HostContested"
ROUTE_FOREIGN: Final = "RouteForeign"
ROUTE_EDITED: Final = "RouteEdited"
GATEWAY_REFUSED: Final = "GatewayRefused"
GATEWAY_API_MISSING: Final = "GatewayAPIMissing"
FORBIDDEN: Final = "RoutesForbidden"
REFUSED: Final = "RoutesRefused"
UNREACHABLE: Final = "APIServerUnavailable"
LEFT_ALONE: Final = "MemberInvalid"

_ORDER: Final = ("False", "Unknown", "True")
_SHOWN = 5  # places named in a message


@dataclass(frozen=True)
class RouteFinding:
    """What became of one route."""

    state: State
    reason: str
    message: str


def verdict(findings: Iterable[RouteFinding], *, when_fine: RouteFinding) -> ConditionVerdict:
    """The condition: the worst of what was found, with all that is as bad."""
    bad = sorted(
        (one for one in findings if one.state != "True"), key=lambda one: _ORDER.index(one.state)
    )
    if not bad:
        return ConditionVerdict(ROUTES, when_fine.state, when_fine.reason, when_fine.message)
    worst = [one for one in bad if one.state == bad[0].state]
    return ConditionVerdict(
        ROUTES,
        worst[0].state,
        worst[0].reason,
        "; ".join(dict.fromkeys(one.message for one in worst)),
    )


def all_fine(
    places: Iterable[str], resource: Resource, namespace: str, gateway: GatewayRef | None
) -> RouteFinding:
    """What to say where nothing is wrong."""
    names = sorted(places)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    what = f"{resource.kind} in namespace {namespace} for {', '.join(names[:_SHOWN])}{more}"
    if gateway is None:
        return RouteFinding("True", MADE, what)
    return RouteFinding("True", ACCEPTED, f"{what}, accepted by Gateway {gateway}")


def of_gateway(live: ObservedRoutes, gateway: GatewayRef) -> RouteFinding:
    """What the Gateway says of a route as it stands."""
    pending = RouteFinding(
        "Unknown",
        PENDING,
        f"Gateway {gateway} has not judged {live} yet; if that lasts, see that it exists and that "
        "its controller runs",
    )
    verdicts = [
        parent for parent in live.parents if _is_for(parent.get("parentRef") or {}, live, gateway)
    ]
    if not verdicts:
        return pending
    conditions = {c["type"]: c for parent in verdicts for c in parent.get("conditions") or ()}
    for type in ("Accepted", "ResolvedRefs"):
        found = conditions.get(type)
        if found is None or found.get("observedGeneration", live.generation) < live.generation:
            return pending
        if found.get("status") == "False":
            message = (
                f"Gateway {gateway} refuses {live}: {found.get('reason')}: {found.get('message')}"
            )
            return RouteFinding("False", GATEWAY_REFUSED, message)
        if found.get("status") != "True":
            return pending
    return RouteFinding("True", ACCEPTED, "")


def _is_for(parent: Body, live: ObservedRoutes, gateway: GatewayRef) -> bool:
    named = (
        parent.get("namespace") or live.namespace,
        parent.get("name"),
        parent.get("sectionName") or "",
    )
    return named == (gateway.namespace, gateway.name, gateway.section)
