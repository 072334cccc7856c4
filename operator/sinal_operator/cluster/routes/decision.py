"""What differs between the routes that are wanted and those that are there, and what to do about
it. Pure.

Who has a place first keeps it: a route of ours is not made where somebody else routes the same
host, and stays where somebody came later. Invariants: nothing that is not ours is changed or
removed, routes of tenants that are left alone stay as they are, and doing what was decided leaves
nothing to decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sinal_crds.references import HOST_TAKEN
from sinal_operator.cluster.routes import findings
from sinal_operator.cluster.routes.desired import DesiredRoute
from sinal_operator.cluster.routes.findings import RouteFinding
from sinal_operator.cluster.routes.observed import ObservedRoutes, covers
from sinal_operator.cluster.routes.options import RouteOptions

Key = tuple[str, str, str]
# mark that was applied, and the digest of what the API server made of it
Settled = Mapping[Key, tuple[str, str]]


@dataclass(frozen=True)
class RouteStep:
    """One wanted route: what is there in its place, and what stands in its way."""

    wanted: DesiredRoute
    live: ObservedRoutes | None
    differs: bool
    finding: RouteFinding | None = None
    blocked: bool = False

    @property
    def key(self) -> Key:
        """Kind, namespace and name."""
        return key_of(self.wanted)


@dataclass(frozen=True)
class Decision:
    """What to take away first, then one step for each wanted route."""

    remove: tuple[ObservedRoutes, ...]
    steps: tuple[RouteStep, ...]

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to do."""
        return not self.remove and not any(step.differs for step in self.steps)


def key_of(wanted: DesiredRoute) -> Key:
    """Kind, namespace and name of a wanted route."""
    return wanted.resource.kind, wanted.namespace, wanted.name


def decide(
    options: RouteOptions,
    wanted: Sequence[DesiredRoute],
    lives: Iterable[ObservedRoutes],
    *,
    left_alone: frozenset[str] = frozenset(),
    settled: Settled | None = None,
) -> Decision:
    """Compare; `left_alone` are UIDs of tenants whose routes are not to be touched."""
    there = {live.key: live for live in lives}
    claims = _claims(there.values())
    keys = {key_of(one) for one in wanted}
    remove = tuple(
        live
        for key, live in there.items()
        if live.ours and key not in keys and not live.deleting and live.tenant_uid not in left_alone
    )
    steps = tuple(
        _step(options, one, there.get(key_of(one)), claims, left_alone, settled or {})
        for one in wanted
    )
    return Decision(remove, steps)


def _claims(lives: Iterable[ObservedRoutes]) -> Mapping[str, list[tuple[str, ObservedRoutes]]]:
    """Other people's paths by host."""
    found: dict[str, list[tuple[str, ObservedRoutes]]] = defaultdict(list)
    for live in lives:
        if not live.ours:
            for claim in live.claims:
                found[claim.host].append((claim.path, live))
    return found


def _step(
    options: RouteOptions,
    wanted: DesiredRoute,
    live: ObservedRoutes | None,
    claims: Mapping[str, list[tuple[str, ObservedRoutes]]],
    left_alone: frozenset[str],
    settled: Settled,
) -> RouteStep:
    if live is not None and not live.ours:
        message = f"{live} is there and was not made by the operator: remove or rename it"
        return _blocked(wanted, live, findings.ROUTE_FOREIGN, message)
    if live is not None and live.tenant_uid in left_alone and live.tenant_uid != wanted.uid:
        message = (
            f"{wanted.place} is still routed for another Tenant, which is left as it is for now"
        )
        return _blocked(wanted, live, HOST_TAKEN, message)
    # What is the installation's own holds a certificate and catches no path.
    rivals = [] if not wanted.uid else _rivals(options, wanted, claims)
    if rivals and live is None:
        message = f"{wanted.place} is claimed by {rivals[0]}: remove it there, or from the Tenant"
        return _blocked(wanted, live, findings.HOST_CLAIMED, message)
    contested = None
    if rivals:
        message = (
            f"{wanted.place} is also claimed by {rivals[0]}, which came later: remove it there"
        )
        contested = RouteFinding("False", findings.HOST_CONTESTED, message)
    return RouteStep(wanted, live, _differs(wanted, live, settled), contested)


def _blocked(
    wanted: DesiredRoute, live: ObservedRoutes | None, reason: str, message: str
) -> RouteStep:
    return RouteStep(
        wanted, live, differs=False, finding=RouteFinding("False", reason, message), blocked=True
    )


def _rivals(
    options: RouteOptions,
    wanted: DesiredRoute,
    claims: Mapping[str, list[tuple[str, ObservedRoutes]]],
) -> list[str]:
    """Other people's routes that catch requests meant for this one."""
    found = {
        str(live)
        for path, live in claims.get(wanted.place.host, ())
        if wanted.place.overlaps(wanted.place.host, path) and _meets(options, wanted, live)
    }
    return sorted(found)


def _meets(options: RouteOptions, wanted: DesiredRoute, live: ObservedRoutes) -> bool:
    """Whether both may be served by the same proxy; of different kinds they may."""
    if live.resource != wanted.resource:
        return True
    if options.gateway is not None:
        return f"{options.gateway.namespace}/{options.gateway.name}" in live.via
    return not options.ingress_class or not live.via or options.ingress_class in live.via


def _differs(wanted: DesiredRoute, live: ObservedRoutes | None, settled: Settled) -> bool:
    if live is None:
        return True
    if live.deleting:
        return False  # it is made anew once it is gone
    if live.mark == wanted.mark and covers(live.body, _comparable(wanted)):
        return False
    # An admission webhook or a server of another version may change what is applied. What it made
    # of this very mark is taken, or the route would be written for ever.
    return settled.get(live.key) != (wanted.mark, live.digest())


def _comparable(wanted: DesiredRoute) -> dict[str, object]:
    metadata = wanted.body["metadata"]
    return {
        "metadata": {"labels": metadata["labels"], "annotations": metadata["annotations"]},
        "spec": wanted.body["spec"],
    }
