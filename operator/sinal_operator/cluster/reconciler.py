"""The one reconciler: everything declared, compiled, brought to NATS, and said in statuses.

Level-based.

Events only wake it; what it does follows from the whole state, so that a lost or doubled event
changes nothing. Rounds follow each other, never overlap, and end with statuses that speak of what
the round saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from sinal_core.aio.backoff import Backoff, Jitter
from sinal_crds.loading import ObjectKey
from sinal_crds.plan import TenantPlan
from sinal_operator import metrics
from sinal_operator.cluster.broker import BrokerSession
from sinal_operator.cluster.client import ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.conditions import ConditionVerdict
from sinal_operator.cluster.desired_state import Declarations, DesiredState
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.finalization import Finalization
from sinal_operator.cluster.object_cache import ObjectCache
from sinal_operator.cluster.orphans import Orphans
from sinal_operator.cluster.readiness_metrics import ReadinessMetrics
from sinal_operator.cluster.routes import Router
from sinal_operator.cluster.status import StatusInputs, judge
from sinal_operator.cluster.status_feed import StatusFeed
from sinal_operator.cluster.status_writer import StatusWriter
from sinal_operator.cluster.tenant_status import Told
from sinal_operator.provision import Report, Retired, TenantReport

log = logging.getLogger(__name__)

# events come in bursts (`kubectl apply -f folder`): a round waits for the end of one …
QUIET_S = 0.15
BURST_S = 1.0  # … but no longer than that
# so long a reference may lead nowhere before that is a fault: its target may be on the way
YOUNG_S = 2.0
BACKOFF = Backoff(base_s=0.5, cap_s=30.0, jitter=Jitter(0.7, 1.3))
MOST_LINES = 50  # of one round, in the log
SOON_S = 0.05  # facts that become due one after the other are written together
IDLE_S = 1.0  # a listing that is overdue is tried no more often


class Reconciler:
    """Brings NATS and statuses to what the object cache shows."""

    def __init__(
        self,
        *,
        survey: DesiredState,
        broker: BrokerSession,
        ingest_url: str,
        object_cache: ObjectCache,
        departures: Finalization,
        writer: StatusWriter,
        recorder: EventRecorder,
        router: Router | None = None,
        board: StatusFeed | None = None,
        orphans: Orphans | None = None,
    ) -> None:
        self._orphans = orphans or Orphans()
        self._survey, self._broker = survey, broker
        self._ingest_url = ingest_url.rstrip("/")
        self._object_cache, self._departures = object_cache, departures
        self._writer, self._recorder, self._router = writer, recorder, router
        self._board = board
        self._unwritten: frozenset[str] = frozenset()  # slugs whose facts statuses do not all show
        self._routes: Mapping[ObjectKey, ConditionVerdict] = {}
        self._standing = ReadinessMetrics()
        self._wake = asyncio.Event()
        self._round_due = False  # what woke it asks for a whole round, not for facts alone
        self._failures = 0
        self._world = StatusInputs(plans={})
        self._plans: tuple[TenantPlan, ...] = ()  # what NATS is to be brought to
        # to the drift loop
        self._offered: tuple[tuple[TenantPlan, ...], tuple[Retired, ...]] = ((), ())
        self._reports: dict[str, TenantReport] = {}
        self._active: dict[str, TenantPlan] = {}
        self._untold: list[TenantReport] = []  # of what was made or changed at NATS

    def wake(self) -> None:
        """Have a round soon."""
        self._round_due = True
        self._wake.set()

    def hear(self) -> None:
        """The runtime has told something."""
        self._wake.set()

    async def run(self) -> None:
        """Rounds for ever: when something changed, after a failure, and now and then."""
        self.wake()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s()):
                    await self._wake.wait()
            if not self._round_due and self._survey.due_in_s > 0:
                self._wake.clear()
                await self._retell()
                continue
            await self._burst_over()
            # Before the round: what is told while it goes on asks for one more.
            self._round_due = False
            try:
                done = await self.round()
            except (ApiServerUnreachable, ApiServerRefused) as error:
                log.warning("the round waits for the API server: %s", error)
                done = False
            except Exception:
                # It must not end the operator: the next round begins from the whole state, whatever
                # broke this one.
                log.exception("a round failed")
                metrics.RECONCILE_TOTAL.labels("Cluster", "failed").inc()
                done = False
            self._failures = 0 if done else self._failures + 1
            if not done:
                asyncio.get_running_loop().call_later(BACKOFF.delay_s(self._failures), self.wake)

    def _rest_s(self) -> float:
        rest_s = max(self._survey.due_in_s, IDLE_S)
        due_in_s = self._board.due_in_s if self._board is not None and not self._failures else None
        return rest_s if due_in_s is None else min(rest_s, due_in_s + SOON_S)

    async def _retell(self) -> None:
        """Write facts into statuses, by what the last round found.

        A round that is due tells them itself.
        """
        if self._board is None or self._failures:
            return
        changed = self._board.release() | self._unwritten
        before, told = self._world.told, self._board.told
        # That the runtime fell silent, or speaks again, concerns the statuses of all tenants.
        if before is None or told is None or before.fresh is not told.fresh:
            changed = frozenset(self._world.plans)
        self._world = replace(self._world, told=told)
        concerned = [
            seen for seen in self._object_cache if self._world.slugs.get(seen.tenant) in changed
        ]
        judged = [(seen, judge(seen, self._world)) for seen in concerned]
        written = await self._writer.write((seen, j) for seen, j in judged if j is not None)
        self._unwritten = frozenset() if written else changed
        if not written:
            asyncio.get_running_loop().call_later(IDLE_S, self.hear)

    async def _burst_over(self) -> None:
        end = time.monotonic() + BURST_S
        while self._wake.is_set() and time.monotonic() < end:
            self._wake.clear()
            await asyncio.sleep(QUIET_S)
        self._wake.clear()

    async def round(self) -> bool:
        """One reconciliation; False when something is left to do. Raises Unreachable or Refused."""
        with metrics.RECONCILE_SECONDS.labels("Cluster").time():
            holders = await self._broker.holders()
            declared = await self._survey.take(holders)
            async with asyncio.TaskGroup() as both:
                if holders is not None:  # else it could take what works from whose it is
                    both.create_task(self._provision(declared.plans))
                both.create_task(self._route(declared))
            if holders is not None:
                there = {seen.uid for seen in declared.seen if seen.key[0] == "Tenant"}
                await self._broker.tell_orphans(
                    self._orphans.look(holders, there | self._departures.abandoned())
                )
            self._world = self._look(declared)
            judged = [(seen, judge(seen, self._world)) for seen in declared.seen]
            # Nothing else wakes us when an object ceases to be young.
            if any(
                judgement is None and seen.key in self._world.young for seen, judgement in judged
            ):
                asyncio.get_running_loop().call_later(YOUNG_S, self.wake)
            written = await self._writer.write((seen, j) for seen, j in judged if j is not None)
            self._tell()
        self._standing.show(judged)
        metrics.RECONCILE_TOTAL.labels("Cluster", "done" if written else "incomplete").inc()
        if written:
            metrics.LAST_DONE.set_to_current_time()
        return written

    async def _provision(self, plans: tuple[TenantPlan, ...]) -> None:
        retired = self._departures.retired()
        leaving = {tenant.slug for tenant in retired}
        # who waits for it: the next round
        self._plans = tuple(plan for plan in plans if plan.slug not in leaving)
        changed = tuple(plan for plan in self._plans if self._active.get(plan.slug) != plan)
        if not (changed or retired):
            return  # whether NATS is still as it was left, the drift loop sees
        report = await self._broker.reconcile(
            changed, retired, deep={plan.slug for plan in changed}
        )
        if report is not None:
            for change in report.changes[:MOST_LINES]:
                log.info("%s", change)
            self._note(report, changed, retired)
            # The slug is free now, and the plan of the Tenant that waited for it was left out.
            if len(self._plans) < len(plans):
                self.wake()

    async def _route(self, declared: Declarations) -> None:
        if self._router is not None:
            self._routes = await self._router.bring(declared)

    def source(self) -> tuple[TenantPlan, ...]:
        """Plans for the drift loop."""
        self._offered = self._plans, self._departures.retired()
        return self._offered[0]

    def retired(self) -> tuple[Retired, ...]:
        """Retirements for the drift loop, of the moment of its plans."""
        return self._offered[1]

    def on_report(self, report: Report) -> None:
        """Take what the drift loop found; wake up if that is news."""
        self._broker.works()
        before = {slug: (one.result, one.reasons) for slug, one in self._reports.items()}
        self._note(report, *self._offered)
        now = {slug: (one.result, one.reasons) for slug, one in self._reports.items()}
        quiet = all(_steady(before.get(slug), found) for slug, found in now.items())
        if not quiet or report.changes or self._offered[1]:
            self.wake()

    def _note(
        self, report: Report, plans: tuple[TenantPlan, ...], retired: tuple[Retired, ...]
    ) -> None:
        gone = {tenant.slug for tenant in retired}
        found = {slug: one for slug, one in report.tenants.items() if slug not in gone}
        self._reports.update(found)
        self._untold += [one for one in found.values() if one.changes]
        for plan in plans:
            if (one := report.tenants.get(plan.slug)) is not None and one.ready:
                self._active[plan.slug] = plan
        self._departures.reported(retired, report.tenants)
        for tenant in retired:
            active = self._active.get(tenant.slug)
            # else it had nothing there, and who has it works on
            if active is None or active.uid == tenant.uid:
                self._reports.pop(tenant.slug, None)
                self._active.pop(tenant.slug, None)

    def _look(self, declared: Declarations) -> StatusInputs:
        plans = declared.compilation.plans
        return StatusInputs(
            plans={plan.slug: plan for plan in plans},
            minted=declared.compilation.minted,
            minted_at=declared.compilation.minted_at,
            problems=declared.problems,
            reports=self._reports,
            active=self._active,
            held=declared.held,
            paused=declared.paused,
            young=self._object_cache.declared_since(YOUNG_S),
            broker_trouble=self._broker.trouble,
            ingest_url=self._ingest_url,
            slugs={("Tenant", plan.namespace, plan.name): plan.slug for plan in plans},
            routes=self._routes,
            told=self._heard(),
        )

    def _heard(self) -> Told | None:
        if self._board is None:
            return None
        self._board.release()
        return self._board.told

    def _tell(self) -> None:
        """Events of what was made or changed at NATS."""
        told, self._untold = self._untold, []
        tenants = {
            slug: self._object_cache.get(tenant) for tenant, slug in self._world.slugs.items()
        }
        for report in told:
            if seen := tenants.get(report.slug):
                changes = "; ".join(
                    change.removeprefix(f"{report.slug}: ") for change in report.changes
                )
                self._recorder.tell(seen, "Normal", "Provisioned", changes)
        for tenant, routes in (self._router.news() if self._router is not None else {}).items():
            if seen := self._object_cache.get(("Tenant", *tenant)):
                self._recorder.tell(seen, "Normal", "Routed", "; ".join(routes))


_WORKS = ("created", "updated", "unchanged")


def _steady(before: tuple[str, tuple[str, ...]] | None, now: tuple[str, tuple[str, ...]]) -> bool:
    """Whether a report tells nothing new.

    That something was put right once is told by its changes.
    """
    if before is None:
        return False
    return before[1] == now[1] and (
        before[0] == now[0] or (before[0] in _WORKS and now[0] in _WORKS)
    )
