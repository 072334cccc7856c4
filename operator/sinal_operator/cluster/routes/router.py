"""Brings routes to what is declared, and says what became of them.

Level-based, as all of the operator.

Its watches only tell that something changed; each round compares everything that is wanted with
everything that is there. Invariants: a route that is as wanted is not written, and trouble with
routes never stops what is done for tenants at NATS.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from sinal_crds.loading import ObjectKey
from sinal_crds.plan import TenantPlan
from sinal_crds.references import HOST_RESERVED, HOST_TAKEN, SLUG_TAKEN
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.conditions import ROUTES, ConditionVerdict, find
from sinal_operator.cluster.desired_state import Declarations
from sinal_operator.cluster.resources import HTTP_ROUTES, INGRESSES
from sinal_operator.cluster.routes import desired, findings
from sinal_operator.cluster.routes.decision import Decision, RouteStep, decide, key_of
from sinal_operator.cluster.routes.desired import DesiredRoute, TenantKey
from sinal_operator.cluster.routes.findings import RouteFinding
from sinal_operator.cluster.routes.observed import ObservedRoutes
from sinal_operator.cluster.routes.options import RouteOptions
from sinal_operator.cluster.routes.watch import RouteWatch, WatchState
from sinal_operator.cluster.routes.writer import RouteWriter

FIRST_LOOK_S = 10.0  # how long the first round waits for the watches' first answers

_Found = Mapping[TenantKey, list[RouteFinding]]


class Router:
    """Routes of all tenants."""

    def __init__(self, client: ApiServerClient, options: RouteOptions) -> None:
        self._options = options
        self._on_change: Callable[[], None] = lambda: None
        self._watches = {
            resource: RouteWatch(
                client, resource, namespace=options.namespace, on_change=self._changed
            )
            for resource in (INGRESSES, HTTP_ROUTES)
        }
        self._main = self._watches[INGRESSES if options.gateway is None else HTTP_ROUTES]
        self._writer = RouteWriter(client, self._watches, later=self._later)
        self._built: dict[TenantKey, tuple[object, tuple[DesiredRoute, ...]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watches(self, on_change: Callable[[], None]) -> tuple[Coroutine[Any, Any, None], ...]:
        """What is to run beside the rounds; `on_change` hears that a round is due."""
        self._on_change = on_change
        return tuple(watch.run() for watch in self._watches.values())

    async def bring(self, declared: Declarations) -> Mapping[ObjectKey, ConditionVerdict]:
        """Make, change and remove routes; the verdict on each tenant that has some."""
        if not await self._looked():
            return _as_before(declared)
        if (trouble := self._trouble()) is not None:
            found: _Found = {(plan.namespace, plan.name): [trouble] for plan in declared.plans}
        else:
            found = await self._do(self._decide(declared))
        return {**self._verdicts(declared, found), **_without_plan(declared)}

    def news(self) -> dict[TenantKey, list[str]]:
        """What was made, changed or removed since the last time, by tenant."""
        return self._writer.news()

    async def _looked(self) -> bool:
        """Whether the kind that routes are made of has been asked for, so that nothing is decided
        blindly.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await asyncio.gather(*(watch.asked.wait() for watch in self._watches.values()))
        return self._main.state is not WatchState.UNKNOWN

    def _trouble(self) -> RouteFinding | None:
        resource = self._main.resource
        match self._main.state:
            case WatchState.MISSING:
                message = (
                    f"the API server has no {resource.kind} of {resource.api_version}: install the "
                    "Gateway API's "
                    "definitions and a controller, or set SINAL_ROUTES to ingress or none"
                )
                return RouteFinding("False", findings.GATEWAY_API_MISSING, message)
            case WatchState.FORBIDDEN:
                message = f"the operator may not read {resource.plural}: {self._main.message}"
                return RouteFinding("False", findings.FORBIDDEN, message)
        return None

    def _decide(self, declared: Declarations) -> Decision:
        wanted = [*desired.of_installation(self._options), *self._wanted(declared.plans)]
        self._writer.begin({key_of(one) for one in wanted})
        return decide(
            self._options,
            wanted,
            (live for watch in self._watches.values() for live in watch),
            left_alone=_left_alone(declared),
            settled=self._writer.settled,
        )

    def _wanted(self, plans: Iterable[TenantPlan]) -> list[DesiredRoute]:
        """Of all tenants; built anew only where something of it changed."""
        built: dict[TenantKey, tuple[object, tuple[DesiredRoute, ...]]] = {}
        for plan in plans:
            tenant, facts = (plan.namespace, plan.name), (plan.uid, plan.slug, plan.hosts)
            known = self._built.get(tenant)
            fresh = known is None or known[0] != facts
            built[tenant] = (
                (facts, desired.routes(plan, self._options)) if known is None or fresh else known
            )
        self._built = built
        return [one for _, several in built.values() for one in several]

    async def _do(self, decision: Decision) -> _Found:
        """Do what was decided; removals first, because a place may change hands."""
        await asyncio.gather(*map(self._writer.remove, decision.remove))
        outcomes = await asyncio.gather(*map(self._take, decision.steps))
        found: dict[TenantKey, list[RouteFinding]] = defaultdict(list)
        for step, outcome in zip(decision.steps, outcomes, strict=True):
            found[step.wanted.tenant] += [one for one in (step.finding, outcome) if one is not None]
        return found

    async def _take(self, step: RouteStep) -> RouteFinding | None:
        """Do a step; what is to be said of its route now."""
        if step.blocked:
            return None
        route = await self._writer.write(step) if step.differs else step.live
        if isinstance(route, ObservedRoutes) and self._options.gateway is not None:
            return findings.of_gateway(route, self._options.gateway)
        return route if isinstance(route, RouteFinding) else None

    def _verdicts(self, declared: Declarations, found: _Found) -> dict[ObjectKey, ConditionVerdict]:
        verdicts: dict[ObjectKey, ConditionVerdict] = {}
        for plan in declared.plans:
            key, tenant = ("Tenant", plan.namespace, plan.name), (plan.namespace, plan.name)
            taken = [
                RouteFinding("False", problem.reason, problem.message)
                for problem in declared.problems.get(key, ())
                if problem.reason in (HOST_TAKEN, HOST_RESERVED)
            ]
            places = (
                [str(one.place) for one in self._built[tenant][1]] if tenant in self._built else []
            )
            fine = findings.all_fine(
                places, self._main.resource, self._options.namespace, self._options.gateway
            )
            several = [*taken, *found.get(tenant, ())]
            verdicts[key] = findings.verdict(several, when_fine=fine)
        return verdicts

    def _changed(self) -> None:
        self._on_change()

    def _later(self, wait_s: float) -> None:
        """Have a round by then at the latest."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if loop.time() < self._timer.when() <= loop.time() + wait_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(wait_s, self._changed)


def _left_alone(declared: Declarations) -> frozenset[str]:
    """UIDs of tenants whose routes stay as they are: paused ones, and those with a part that can't
    be read.

    Those whose finalizer somebody took away too: Kopf puts it back.
    """
    alone = {*declared.held, *declared.paused}
    tenants = (seen for seen in declared.seen if seen.key[0] == "Tenant" and not seen.deleting)
    return frozenset(seen.uid for seen in tenants if seen.key in alone or not seen.kept)


def _as_before(declared: Declarations) -> dict[ObjectKey, ConditionVerdict]:
    """What statuses say already."""
    known = {seen.key: find(seen.status.get("conditions") or (), ROUTES) for seen in declared.seen}
    return {
        key: ConditionVerdict(
            ROUTES, condition["status"], condition["reason"], condition["message"]
        )
        for key, condition in known.items()
        if condition
    }


def _without_plan(declared: Declarations) -> dict[ObjectKey, ConditionVerdict]:
    """The verdict on tenants that nothing is done for now."""
    lost = {
        key: ConditionVerdict(ROUTES, "False", SLUG_TAKEN, problem.message)
        for key, problems in declared.problems.items()
        for problem in problems
        if problem.reason == SLUG_TAKEN
    }
    held = {
        key: ConditionVerdict(
            ROUTES, "Unknown", findings.LEFT_ALONE, f"its routes stay as they are: {why}"
        )
        for key, why in declared.held.items()
    }
    return {**lost, **held}
