"""Writes and removes routes, and says what came of it.

Invariants: a route that is not there is made without force, so that nobody's is taken over in the
same moment; one that is there is changed only as it was seen; and what is spoilt again and again is
put right ever more slowly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from sinal_operator import metrics
from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.resources import Resource
from sinal_operator.cluster.routes import findings
from sinal_operator.cluster.routes.decision import Key, RouteStep, Settled
from sinal_operator.cluster.routes.desired import MANAGER, TenantKey
from sinal_operator.cluster.routes.findings import RouteFinding
from sinal_operator.cluster.routes.observed import ObservedRoutes, see
from sinal_operator.cluster.routes.patience import Patience
from sinal_operator.cluster.routes.watch import RouteWatch

log = logging.getLogger(__name__)

RETRY_S = 15.0  # what the API server refused is tried again
SOON_S = 1.0
_FORBIDDEN = (401, 403)


class RouteWriter:
    """Takes steps; `later` is told in how many seconds there is something to try again."""

    def __init__(
        self,
        client: ApiServerClient,
        watches: Mapping[Resource, RouteWatch],
        *,
        later: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._watches, self._later = client, watches, later
        self._patience = Patience(clock)
        self._settled: dict[Key, tuple[str, str]] = {}
        self._news: dict[TenantKey, list[str]] = {}
        # what was said when a write was forbidden in this round: no use to go on asking
        self._denied = ""

    @property
    def settled(self) -> Settled:
        """What the API server made of what was written, where that is not quite the same."""
        return self._settled

    def begin(self, keys: set[Key]) -> None:
        """A round begins, with these routes wanted."""
        self._denied = ""
        self._patience.keep(keys)
        self._settled = {key: settled for key, settled in self._settled.items() if key in keys}

    def news(self) -> dict[TenantKey, list[str]]:
        """What was made, changed or removed since the last time, by tenant."""
        told, self._news = self._news, {}
        return told

    async def remove(self, live: ObservedRoutes) -> None:
        """Remove a route of ours."""
        try:
            await self._client.delete(live.resource, live.namespace, live.name, uid=live.uid)
        except (ApiServerRefused, ApiServerUnreachable) as error:
            log.error("%s is to go and can't be removed: %s", live, error)
            self._count("failed")
            self._later(RETRY_S)
        else:
            self._did("removed", live, live.tenant)

    async def write(self, step: RouteStep) -> ObservedRoutes | RouteFinding | None:
        """Make a route, or put it right: the route as it is now, or what stood in the way.

        None where it changed in this very moment, of which the watch tells.
        """
        wait_s = self._patience.wait_s(step.key, step.wanted.mark)
        if wait_s > 0:
            self._later(wait_s)
            message = (
                f"{step.wanted.place}: somebody changes the route again and again; see its "
                "managedFields"
            )
            return RouteFinding("False", findings.ROUTE_EDITED, message)
        if self._denied:
            return RouteFinding("False", findings.FORBIDDEN, self._denied)
        try:
            return await self._apply(step)
        except ApiServerRefused as error:
            return self._refused(step, error)
        except ApiServerUnreachable as error:
            self._later(RETRY_S)
            return RouteFinding("Unknown", findings.UNREACHABLE, str(error))

    async def _apply(self, step: RouteStep) -> ObservedRoutes:
        wanted, live = step.wanted, step.live
        body = wanted.body
        if live is not None:
            this = {"uid": live.uid, "resourceVersion": str(live.version)}
            body = {**body, "metadata": {**body["metadata"], **this}}
        answer = await self._client.apply(
            wanted.resource, body, manager=MANAGER, force=live is not None
        )
        self._patience.wrote(step.key, wanted.mark)
        # The watch tells of it later: a round that comes first must not write it again.
        self._watches[wanted.resource].put(answer)
        made = see(wanted.resource, answer, namespace=wanted.namespace)
        self._settled[step.key] = wanted.mark, made.digest()
        self._did("made" if live is None else "changed", made, wanted.tenant)
        return made

    def _did(self, what: str, live: ObservedRoutes, tenant: TenantKey) -> None:
        log.info("%s %s", live, what)
        self._news.setdefault(tenant, []).append(f"{live} {what}")
        self._count(what)

    def _refused(self, step: RouteStep, error: ApiServerRefused) -> RouteFinding | None:
        if error.outdated:
            self._later(SOON_S)
            message = f"{step.wanted.place}: somebody else makes an object of this name"
            return (
                None
                if step.live is not None
                else RouteFinding("Unknown", findings.PENDING, message)
            )
        self._count("failed")
        self._later(RETRY_S)
        if error.status in _FORBIDDEN:
            self._denied = str(error)
            return RouteFinding("False", findings.FORBIDDEN, self._denied)
        return RouteFinding("False", findings.REFUSED, f"{step.wanted.place}: {error}")

    @staticmethod
    def _count(result: str) -> None:
        metrics.RECONCILE_TOTAL.labels("Route", result).inc()
