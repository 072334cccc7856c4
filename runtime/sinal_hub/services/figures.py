"""One tenant's figures: how its events end, which signals they carry, how many pair with the
browser's.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from sinal_core.nats import status_bucket
from sinal_core.nats.errors import BusError
from sinal_crds import tenant_status
from sinal_crds.plan import TenantPlan
from sinal_crds.tenant_status import Breaker, Trouble
from sinal_hub.services.callers import Caller
from sinal_hub.services.ports import Bus, Plans
from sinal_hub.store.tenant_stats import (
    CoverageRow,
    DestinationCount,
    Figures,
    Latency,
    OutcomeCount,
    TenantStatsStore,
)


class Waiting(msgspec.Struct, kw_only=True, frozen=True):
    """What waits in one lane."""

    consumer: str
    role: str
    pending: int
    in_flight: int


class DestinationNow(msgspec.Struct, kw_only=True, frozen=True):
    """How a destination does.

    `trouble` is null while its events arrive, `code` is Meta's where that is the trouble.
    """

    breaker: Breaker
    trouble: Trouble | None
    code: int | None
    last_success_at: datetime | None
    dead_letters: int
    suspended: bool


class IntegrationNow(msgspec.Struct, kw_only=True, frozen=True):
    """What a gateway sent in 24 hours that failed its check, or was not fully understood."""

    last_delivery_at: datetime | None
    rejects: int
    drift: int
    suspended: bool


class Runtime(msgspec.Struct, kw_only=True, frozen=True):
    """What housekeeping saw last, by name; the same as in the statuses of a cluster.

    Times are whole minutes.
    """

    silent: bool
    destinations: dict[str, DestinationNow]
    integrations: dict[str, IntegrationNow]


class Summary(msgspec.Struct, kw_only=True, frozen=True):
    """A tenant's last hours.

    `backlog` is null when the broker did not say; `match_rate` without a decided sale.

    `runtime` is null where housekeeping has not looked at the tenant yet.
    """

    tenant: str
    hours: int
    suspended: bool
    events: dict[str, int]
    outcomes: dict[str, int]
    reasons: dict[str, dict[str, int]]
    by_kind: list[OutcomeCount]
    decisions: dict[str, int]
    match_rate: float | None
    latency_s: Latency
    destinations: list[DestinationCount]
    backlog: list[Waiting] | None
    last_event_at: datetime | None
    runtime: Runtime | None


class EventCoverage(msgspec.Struct, kw_only=True, frozen=True):
    """Shares from 0 to 1 of the conversions of one Meta event that carry each signal."""

    event_name: str
    conversions: int
    signals: dict[str, float]


class Coverage(msgspec.Struct, kw_only=True, frozen=True):
    """Signals of a tenant's conversions; `all` is null without any conversion."""

    tenant: str
    hours: int
    all: EventCoverage | None
    events: list[EventCoverage]


class Pair(msgspec.Struct, kw_only=True, frozen=True):
    """Events of a kind that were sent, and how many of them carry an id that the browser gave."""

    kind: str
    events: int
    paired: int
    share: float


class Pairing(msgspec.Struct, kw_only=True, frozen=True):
    """What Meta can pair with its pixel; `share` is null without any event of a page.

    Sales that come by webhook have an id that the hub computes; a page that shows it to its pixel
    pairs too, unseen.
    """

    tenant: str
    hours: int
    share: float | None
    kinds: list[Pair]


class FigureService:
    """Figures of the last hours; raises NotFound for a tenant that is not the caller's."""

    def __init__(self, store: TenantStatsStore, bus: Bus, plans: Plans) -> None:
        self._store, self._bus, self._plans = store, bus, plans

    async def summary(self, caller: Caller, slug: str, *, hours: int) -> Summary:
        """How events end, and how the tenant does now."""
        plan = caller.plan(self._plans, slug)
        figures = await self._store.figures(plan.slug, window_s=hours * 3600)
        return _summary(
            figures,
            plan.slug,
            hours=hours,
            suspended=plan.suspended,
            backlog=await _backlog(self._bus, plan.slug),
            runtime=await _runtime(self._bus, plan),
        )

    async def coverage(self, caller: Caller, slug: str, *, hours: int) -> Coverage:
        """Which signals conversions carry."""
        tenant = caller.plan(self._plans, slug).slug
        rows = await self._store.coverage(tenant, window_s=hours * 3600)
        return _coverage(rows, tenant, hours)

    async def pairing(self, caller: Caller, slug: str, *, hours: int) -> Pairing:
        """How many events have an id that the browser gave."""
        tenant = caller.plan(self._plans, slug).slug
        rows = [
            row
            for row in await self._store.pairing(tenant, window_s=hours * 3600)
            if row.source != "webhook"
        ]
        kinds: dict[str, tuple[int, int]] = {}
        for row in rows:
            events, paired = kinds.get(row.kind, (0, 0))
            kinds[row.kind] = (events + row.events, paired + row.paired)
        total = sum(row.events for row in rows)
        share = sum(row.paired for row in rows) / total if total else None
        pairs = [
            Pair(kind=kind, events=n, paired=p, share=p / n)
            for kind, (n, p) in sorted(kinds.items())
        ]
        return Pairing(tenant=tenant, hours=hours, share=share, kinds=pairs)


async def _backlog(bus: Bus, tenant: str) -> list[Waiting] | None:
    try:
        depths = await bus.depths()
    except BusError:
        return None
    return [
        Waiting(consumer=one.consumer, role=one.role, pending=one.pending, in_flight=one.in_flight)
        for one in depths
        if one.tenant == tenant
    ]


async def _runtime(bus: Bus, plan: TenantPlan) -> Runtime | None:
    try:
        entry = await status_bucket.read(bus.api, plan.slug)
        told = None if entry is None else tenant_status.decode(entry)
    # During an upgrade housekeeping of another release may have written the entry.
    except (BusError, tenant_status.UnknownStatusVersion):
        return None
    if told is None:
        return None
    resting = {one.name for one in plan.destinations if plan.rests(one)}
    shut = {one.name for one in plan.integrations if plan.refuses(one)}
    return Runtime(
        silent=told.silent,
        destinations={
            name: DestinationNow(
                breaker=one.breaker,
                trouble=one.trouble,
                code=one.code,
                last_success_at=_moment(one.last_success),
                dead_letters=one.dead_letters,
                suspended=name in resting,
            )
            for name, one in told.destinations.items()
        },
        integrations={
            name: IntegrationNow(
                last_delivery_at=_moment(one.last_delivery),
                rejects=one.rejects,
                drift=one.drift,
                suspended=name in shut,
            )
            for name, one in told.integrations.items()
        },
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _summary(
    figures: Figures,
    tenant: str,
    *,
    hours: int,
    suspended: bool,
    backlog: list[Waiting] | None,
    runtime: Runtime | None,
) -> Summary:
    events: dict[str, int] = {}
    outcomes: dict[str, int] = dict.fromkeys(("delivered", "withheld", "dead", "in_flight"), 0)
    reasons: dict[str, dict[str, int]] = {}
    for row in figures.outcomes:
        events[row.kind] = events.get(row.kind, 0) + row.events
        outcomes[row.state] = outcomes.get(row.state, 0) + row.events
        if row.reason is not None:
            words = reasons.setdefault(row.state, {})
            words[row.reason] = words.get(row.reason, 0) + row.events
    decided = sum(figures.decisions.values())
    return Summary(
        tenant=tenant,
        hours=hours,
        suspended=suspended,
        events=events,
        outcomes=outcomes,
        reasons=reasons,
        by_kind=figures.outcomes,
        decisions=figures.decisions,
        match_rate=figures.decisions.get("match", 0) / decided if decided else None,
        latency_s=figures.latency,
        destinations=figures.destinations,
        backlog=backlog,
        last_event_at=figures.last_event_at,
        runtime=runtime,
    )


def _coverage(rows: list[CoverageRow], tenant: str, hours: int) -> Coverage:
    counts = [msgspec.structs.asdict(row) for row in rows]
    total = (
        {name: sum(row[name] for row in counts) for name in counts[0] if name != "event_name"}
        if counts
        else None
    )
    return Coverage(
        tenant=tenant,
        hours=hours,
        all=None if total is None else _shares("all", total),
        events=[_shares(str(row.pop("event_name")), row) for row in counts],
    )


def _shares(name: str, counts: dict[str, int]) -> EventCoverage:
    conversions = counts["conversions"]
    signals = {
        signal: count / conversions for signal, count in counts.items() if signal != "conversions"
    }
    return EventCoverage(event_name=name, conversions=conversions, signals=signals)
