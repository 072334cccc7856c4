"""From rows and queue depths to what is told of each tenant. Pure.

Invariant: what is told of a tenant depends on its own rows and plan only, and figures are no finer
than people read them, so that a busy tenant is not news at every look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from sinal_core.nats.depth import Depth
from sinal_crds import names
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_crds.tenant_status import (
    Breaker,
    ObservedDestination,
    ObservedFunnel,
    ObservedIntegration,
    ObservedTenant,
    Trouble,
)
from sinal_hub.store.tenant_status import DestinationDelivery, DestinationKey, Sights

EXACT = 1_000  # smaller counts are told as they are, larger ones with three digits
# Session, signature, token: a new token is the way out. Other codes of this verdict are
# permissions.
TOKEN_CODES = frozenset({102, 104, 190})
UNHEARD = timedelta(minutes=15)  # throttled, or not worked on, for so long is a trouble
MANY_DEAD = 10  # in an hour, and more than what arrived

K = TypeVar("K")

_VERDICTS: dict[str, Trouble] = {"credential": "permission", "configuration": "setup"}


def lanes(plans: Mapping[str, TenantPlan]) -> list[DestinationKey]:
    """Every destination that there is."""
    return [
        DestinationKey(slug, one.name) for slug, plan in plans.items() for one in plan.destinations
    ]


def compose(
    plans: Mapping[str, TenantPlan], sights: Sights, depths: Iterable[Depth], *, now: datetime
) -> dict[str, ObservedTenant]:
    """What to tell of every tenant that there is."""
    rows = _Rows(sights, depths)
    return {slug: _tenant(plan, rows, now=now) for slug, plan in plans.items()}


def coarse(count: int) -> int:
    """A count that does not change with every event of a busy tenant."""
    if count < EXACT:
        return count
    step: int = 10 ** (len(str(count)) - 3)
    return count // step * step


def minute(moment: datetime | None) -> int | None:
    """Unix seconds of the minute it was in."""
    return None if moment is None else int(moment.timestamp()) // 60 * 60


def percent(matched: int, decided: int) -> float | None:
    """A share with one decimal."""
    return round(100 * matched / decided, 1) if decided else None


class _Rows:
    """The rows of a look by what they are of."""

    def __init__(self, sights: Sights, depths: Iterable[Depth]) -> None:
        self.quiet = sights.quiet
        self.deliveries = {(row.tenant, row.destination): row for row in sights.deliveries}
        self.tallies = {(row.tenant, row.integration): row for row in sights.tallies}
        self.volumes = {(row.tenant, row.funnel): row.events for row in sights.volumes}
        self.decisions = {
            (row.tenant, row.funnel): (row.matched, row.decided) for row in sights.decisions
        }
        self.depths = {(depth.tenant, depth.consumer): depth for depth in depths}
        self.funnels: dict[tuple[str, str], datetime] = {}
        self.integrations: dict[tuple[str, str], datetime] = {}
        self.tenants: dict[str, datetime] = {}
        self.totals: dict[str, list[int]] = {}  # events, matched, decided
        self.waiting: dict[str, int] = {}
        for row in sights.sightings:
            _later(self.funnels, (row.tenant, row.funnel), row.last_at)
            _later(self.tenants, row.tenant, row.last_at)
            if row.integration:
                _later(self.integrations, (row.tenant, row.integration), row.last_at)
        for (tenant, _), events in self.volumes.items():
            self.totals.setdefault(tenant, [0, 0, 0])[0] += events
        for (tenant, _), counts in self.decisions.items():
            total = self.totals.setdefault(tenant, [0, 0, 0])
            total[1:] = [total[1] + counts[0], total[2] + counts[1]]
        for depth in self.depths.values():
            self.waiting[depth.tenant] = self.waiting.get(depth.tenant, 0) + depth.messages


def _later(known: dict[K, datetime], key: K, at: datetime) -> None:
    known[key] = max(at, known.get(key, at))


def _tenant(plan: TenantPlan, rows: _Rows, *, now: datetime) -> ObservedTenant:
    events, matched, decided = rows.totals.get(plan.slug, (0, 0, 0))
    return ObservedTenant(
        backlog=coarse(rows.waiting.get(plan.slug, 0)),
        events_24h=coarse(events),
        match_percent=percent(matched, decided),
        last_event=minute(rows.tenants.get(plan.slug)),
        silent=plan.slug in rows.quiet and not _is_shut(plan),
        destinations={
            one.name: _destination(plan, one, rows, now=now) for one in plan.destinations
        },
        funnels={one.name: _funnel(plan.slug, one.name, rows) for one in plan.funnels},
        integrations={
            one.name: _integration(plan.slug, one.name, rows) for one in plan.integrations
        },
    )


def _is_shut(plan: TenantPlan) -> bool:
    """Whether no event can come in: it is suspended, or each of its funnels is."""
    return plan.suspended or (bool(plan.funnels) and all(one.suspended for one in plan.funnels))


def _funnel(slug: str, name: str, rows: _Rows) -> ObservedFunnel:
    key = (slug, name)
    matched, decided = rows.decisions.get(key, (0, 0))
    return ObservedFunnel(
        events_24h=coarse(rows.volumes.get(key, 0)),
        match_percent=percent(matched, decided),
        last_event=minute(rows.funnels.get(key)),
    )


def _integration(slug: str, name: str, rows: _Rows) -> ObservedIntegration:
    tally = rows.tallies.get((slug, name))
    heard = [at for at in (rows.integrations.get((slug, name)), tally and tally.last_at) if at]
    return ObservedIntegration(
        last_delivery=minute(max(heard, default=None)),
        rejects=coarse(tally.rejects) if tally else 0,
        drift=coarse(tally.drift) if tally else 0,
    )


def _destination(
    plan: TenantPlan, declared: DestinationPlan, rows: _Rows, *, now: datetime
) -> ObservedDestination:
    name = declared.name
    row = rows.deliveries.get((plan.slug, name)) or DestinationDelivery(
        tenant=plan.slug, destination=name
    )
    depth = rows.depths.get((plan.slug, names.dispatch_consumer(name)))
    found = None if plan.rests(declared) else trouble(row, depth, now=now)
    blamed = found in ("token", "permission", "setup", "throttled")
    return ObservedDestination(
        backlog=coarse(depth.messages) if depth else 0,
        breaker=_breaker(row),
        trouble=found,
        code=row.code if blamed else None,
        subcode=row.subcode if blamed else None,
        last_success=minute(row.last_success),
        dead_letters=coarse(row.dead_letters),
    )


def _breaker(row: DestinationDelivery) -> Breaker:
    if row.open is None:
        return "Closed"
    return "Open" if row.open else "HalfOpen"


def trouble(row: DestinationDelivery, depth: Depth | None, *, now: datetime) -> Trouble | None:
    """The first that holds: what Meta said last, then what follows from how it went."""
    if row.verdict == "credential" and row.code in TOKEN_CODES:
        return "token"
    if row.verdict in _VERDICTS:
        return _VERDICTS[row.verdict]
    if row.open is not None and row.reason not in ("credential", "configuration"):
        return "service"  # the other two are over: Meta has answered otherwise since
    if row.verdict == "throttle" and _long_ago(row.last_success, now):
        return "throttled"
    if row.recently_dead >= MANY_DEAD and row.recently_dead > row.recently_delivered:
        return "rejected"
    waits = depth is not None and depth.oldest_at is not None and _long_ago(depth.oldest_at, now)
    return "stalled" if waits and _long_ago(row.answered_at, now) else None


def _long_ago(moment: datetime | None, now: datetime) -> bool:
    return moment is None or now - moment > UNHEARD
