"""Bring JetStream to the plans: level-based, idempotent, and without any knowledge of where plans
come from.

The state is read and compared with what the server returned, so that an unchanged platform costs a
few reads and no write: in bulk where it is about many tenants, one by one where it is about `FEW`.
What is looked at, and when, is the `outlook`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence

from nats.aio.client import Client

from sinal_core.nats.errors import BusRefused, BusUnavailable, StorageExhausted
from sinal_core.nats.jetstream import StreamInfo
from sinal_crds import names
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import Keyring, PlanHolder
from sinal_operator import metrics
from sinal_operator.provision import desired, drift
from sinal_operator.provision.jetstream import FencedJetStream
from sinal_operator.provision.plan_bucket import PlanBucket
from sinal_operator.provision.report import ENDED, Report, Retired, TenantReport
from sinal_operator.provision.resync_schedule import Look, ResyncSchedule
from sinal_operator.provision.tenant import Tenant, retire

log = logging.getLogger(__name__)

PARALLEL = 32
FEW = 50  # up to so many streams are asked for by name; more are listed, a page of 256 at a time
TICK_S = 0.2
RETRY_S = 1.0


class Provisioner:
    """The owner of streams, consumers and the bucket of plans."""

    def __init__(
        self,
        client: Client,
        keyring: Keyring,
        *,
        replicas: int = 1,
        ack_wait_s: float = desired.ACK_WAIT_S,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._jetstream = FencedJetStream(client, allowed=allowed)
        self._vault = PlanBucket(client, self._jetstream, keyring)
        self._replicas = replicas
        self._ack_wait_s = ack_wait_s
        self._lock = asyncio.Lock()
        # what each tenant was brought to, by slug
        self._settled: dict[str, TenantPlan | Retired] = {}
        self._trouble = ""
        # buckets that could not be given their bound; tried once a process
        self._unbounded: set[str] = set()

    async def reconcile(
        self,
        plans: Iterable[TenantPlan],
        retired: Iterable[Retired] = (),
        *,
        deep: bool | Collection[str] = True,
        abandon: Mapping[str, Collection[str]] | None = None,
    ) -> Report:
        """Bring every tenant to its plan and report on each.

        Raises BusUnavailable when the broker is away.

        `deep` looks at consumers of all tenants, or of those named. `abandon` names, by slug,
        removed destinations whose waiting messages may be thrown away. A tenant that is neither
        planned nor retired is left as it is.
        """
        async with self._lock:
            return await self._reconcile(plans, retired, deep=deep, abandon=abandon or {})

    async def holders(self) -> tuple[PlanHolder, ...]:
        """Whose plans the runtime has, by slug; raises BusUnavailable."""
        async with self._lock:
            try:
                bucket = await self._jetstream.stream(f"KV_{names.PLANS_BUCKET}")
            except BusRefused as error:
                raise BusUnavailable(str(error)) from error
            if bucket is None:
                return ()
            await self._vault.open(bucket)
            return self._vault.holders()

    async def _reconcile(
        self,
        plans: Iterable[TenantPlan],
        retired: Iterable[Retired],
        *,
        deep: bool | Collection[str],
        abandon: Mapping[str, Collection[str]],
    ) -> Report:
        wanted = {plan.slug: plan for plan in plans}
        gone = {tenant.slug: tenant for tenant in retired if tenant.slug not in wanted}
        work: list[TenantPlan | Retired] = [*wanted.values(), *gone.values()]
        streams = await self._streams([one.slug for one in work])
        await self._ensure_buckets(streams)
        gate = asyncio.Semaphore(PARALLEL)

        async def one(work: TenantPlan | Retired) -> TenantReport:
            async with gate:
                with metrics.RECONCILE_SECONDS.labels("Tenant").time():
                    report = await self._one(work, streams, deep=deep, abandon=abandon)
            metrics.RECONCILE_TOTAL.labels("Tenant", report.result).inc()
            if report.ready or (isinstance(work, Retired) and report.result in ENDED):
                self._settled[work.slug] = work
            else:
                self._settled.pop(work.slug, None)
            return report

        # All of them end before an error is raised: a reconciliation that goes on behind it would
        # write without the lock.
        reports = await asyncio.gather(*map(one, work), return_exceptions=True)
        return Report({report.slug: report for report in _all(reports)})

    async def _one(
        self,
        work: TenantPlan | Retired,
        streams: Mapping[str, StreamInfo],
        *,
        deep: bool | Collection[str],
        abandon: Mapping[str, Collection[str]],
    ) -> TenantReport:
        slug = work.slug
        info = streams.get(names.stream(slug))
        try:
            if isinstance(work, Retired):
                return await retire(work, info, jetstream=self._jetstream, vault=self._vault)
            tenant = Tenant(
                work,
                jetstream=self._jetstream,
                vault=self._vault,
                replicas=self._replicas,
                ack_wait_s=self._ack_wait_s,
            )
            look = deep if isinstance(deep, bool) else slug in deep
            return await tenant.reconcile(info, deep=look, abandoned=abandon.get(slug, ()))
        except BusRefused as error:
            return TenantReport(
                slug=slug, result="failed", reasons=(str(error),), stream=names.stream(slug)
            )

    async def _streams(self, slugs: Sequence[str]) -> dict[str, StreamInfo]:
        """The tenants' streams and the buckets' by name, as far as they are there."""
        if len(slugs) > FEW:
            return await self._jetstream.streams()
        wanted = [*map(names.stream, slugs), *(f"KV_{name}" for name in desired.BUCKETS)]
        try:
            found = await asyncio.gather(*map(self._jetstream.stream, wanted))
        except BusRefused as error:
            raise BusUnavailable(str(error)) from error
        return {info.name: info for info in found if info is not None}

    async def _ensure_buckets(self, streams: Mapping[str, StreamInfo]) -> None:
        for name in desired.BUCKETS:
            found = streams.get(f"KV_{name}")
            if found is None:
                try:
                    await self._create_bucket(name)
                except BusRefused as error:
                    raise BusUnavailable(f"bucket {name}: {error}") from error
            elif name in desired.MAX_BYTES:
                await self._bound_bucket(name, found)
        await self._vault.open(streams.get(f"KV_{names.PLANS_BUCKET}"))
        try:
            await self._vault.seal_again()
        except BusRefused as error:
            log.warning("plans could not be sealed again: %s", error)

    async def _create_bucket(self, name: str) -> None:
        """Without its bound where the broker has not so much to reserve; raises BusRefused."""
        config = desired.bucket(name, replicas=self._replicas)
        try:
            await self._jetstream.create_stream(config)
        except BusRefused as error:
            if not isinstance(error, StorageExhausted) or name not in desired.MAX_BYTES:
                raise
            await self._jetstream.create_stream(config | {"max_bytes": -1})
            self._left_unbounded(name, str(error))

    async def _bound_bucket(self, name: str, found: StreamInfo) -> None:
        """Give a bucket of an older release its bound.

        One that somebody else has bounded, or that is fuller, stays.

        Rollups are over for all of them: who writes one delivery could take all others away.
        """
        limit, config = desired.MAX_BYTES[name], found.config
        if config.get("allow_rollup_hdrs"):
            config = drift.merged({"allow_rollup_hdrs": False}, config)
            await self._jetstream.update_stream(config)
        if found.config.get("max_bytes", -1) > 0 or name in self._unbounded:
            return
        if found.state.bytes > limit:
            return self._left_unbounded(
                name, f"it holds {found.state.bytes} bytes: a bound would remove some"
            )
        try:
            await self._jetstream.update_stream(drift.merged({"max_bytes": limit}, config))
        except BusRefused as error:
            self._left_unbounded(name, str(error))

    def _left_unbounded(self, name: str, why: str) -> None:
        self._unbounded.add(name)
        log.warning("bucket %s has no bound of %d bytes: %s", name, desired.MAX_BYTES[name], why)

    async def run(
        self,
        source: Callable[[], Iterable[TenantPlan]],
        interval_s: float = 5.0,
        *,
        retired: Callable[[], Iterable[Retired]] = tuple,
        on_report: Callable[[Report], None] = lambda report: None,
    ) -> None:
        """Keep NATS as declared, for ever.

        `on_report` gets what was found of the tenants that were looked at: at an interval, at once
        after a reconnect, and when somebody tells of a lack.
        """
        async with ResyncSchedule(self._client) as outlook:
            connects, next_at = -1, 0.0
            while True:
                seen = self._client.stats["reconnects"]
                due = time.monotonic() >= next_at
                if self._client.is_connected and (seen != connects or outlook.asked or due):
                    work = self._round_of(
                        source, retired, on_report, outlook, all_of_it=seen != connects
                    )
                    done = await self._while_connected(work, seen)
                    # A round that was broken off has seen nothing for sure: the next one looks at
                    # everything.
                    connects = seen if done else -1
                    next_at = time.monotonic() + interval_s
                    await asyncio.sleep(0 if done or not self._client.is_connected else RETRY_S)
                await asyncio.sleep(TICK_S)

    async def _while_connected(self, work: Coroutine[None, None, bool], connects: int) -> bool:
        """Give a round up when its connection is lost: its requests would only wait for their
        time-outs.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=TICK_S)
                if not self._client.is_connected or self._client.stats["reconnects"] != connects:
                    return False
            return task.result()
        finally:
            task.cancel()

    async def _round_of(
        self,
        source: Callable[[], Iterable[TenantPlan]],
        retired: Callable[[], Iterable[Retired]],
        on_report: Callable[[Report], None],
        outlook: ResyncSchedule,
        *,
        all_of_it: bool,
    ) -> bool:
        """One look, and what follows from it; False when it did not come to its end."""
        asked = outlook.heard()
        try:
            # first: what is declared may change while another reconciliation goes on
            async with self._lock:
                plans, gone = tuple(source()), tuple(retired())
                look = (
                    outlook.everything(None)
                    if all_of_it
                    else await self._look(plans, gone, asked, outlook)
                )
                report = await self._at(look, plans, gone)
                # Under the lock still: the hearer compares it with the plans that `source` gave
                # just now.
                on_report(report)
        except Exception as error:
            outlook.again(asked)
            self._failed(error)
            return False
        self._log(report)
        return True

    async def _at(self, look: Look, plans: Iterable[TenantPlan], gone: Iterable[Retired]) -> Report:
        """Reconcile what is looked at."""
        plans = [plan for plan in plans if look.covers(plan.slug)]
        gone = [tenant for tenant in gone if look.covers(tenant.slug)]
        if look.slugs is not None and not plans and not gone:
            return Report({})
        return await self._reconcile(plans, gone, deep=look.deep, abandon={})

    async def _look(
        self,
        plans: Iterable[TenantPlan],
        gone: Iterable[Retired],
        asked: Collection[str],
        outlook: ResyncSchedule,
    ) -> Look:
        """What to look at now; raises BusUnavailable or BusRefused."""
        bucket = await self._jetstream.stream(f"KV_{names.PLANS_BUCKET}")
        if not self._vault.knows(bucket):
            return outlook.everything(None)
        work: list[TenantPlan | Retired] = [*plans, *gone]
        unsettled = {one.slug for one in work if self._settled.get(one.slug) != one}
        return outlook.look(
            asked, unsettled, await self._jetstream.account(), (one.slug for one in work)
        )

    def _failed(self, error: Exception) -> None:
        """Count a failed round; log it once until it changes or is over."""
        metrics.RECONCILE_TOTAL.labels("Tenant", "failed").inc()
        if type(error).__name__ != self._trouble:
            self._trouble = type(error).__name__
            if isinstance(error, BusUnavailable):
                log.warning("provisioning waits for the broker: %s", error)
            else:
                log.error("provisioning failed: %s", type(error).__name__, exc_info=error)

    def _log(self, report: Report) -> None:
        if self._trouble:
            self._trouble = ""
            log.info("provisioning works again")
        for change in report.changes[:50]:
            log.info("%s", change)
        if len(report.changes) > 50:
            log.info("… and %d more changes", len(report.changes) - 50)


def _all(reports: Iterable[TenantReport | BaseException]) -> list[TenantReport]:
    """The reports, or the first error: one that no tenant can be blamed for."""
    found: list[TenantReport] = []
    for report in reports:
        if isinstance(report, BaseException):
            raise report
        found.append(report)
    return found
