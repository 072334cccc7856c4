"""Bring JetStream to the plans: level-based, idempotent, and without any knowledge of where plans come from.

The state is read in bulk (one paged listing of streams) and compared with what the server returned, so that an
unchanged platform costs a few reads and no write. Consumers are looked at when a stream has another number of them
than it should, on request, after a reconnect, and in turn, so that each is seen about once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from sinal_crds import names
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import Keyring
from sinal_operator import metrics
from sinal_operator.provision import desired
from sinal_operator.provision.api import JetStream, Refused, StreamInfo, Unavailable
from sinal_operator.provision.report import Report, Retired, TenantReport
from sinal_operator.provision.tenant import Tenant, retire
from sinal_operator.provision.vault import Vault

log = logging.getLogger(__name__)

PARALLEL = 32
TURNS = 12  # rounds in which every tenant's consumers are looked at once
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
        self._jetstream = JetStream(client, allowed=allowed)
        self._vault = Vault(client, self._jetstream, keyring)
        self._replicas = replicas
        self._ack_wait_s = ack_wait_s
        self._lock = asyncio.Lock()
        self._asked: set[str] = set()  # slugs that workers miss; "" means all
        self._round = 0
        self._trouble = ""

    async def reconcile(
        self,
        plans: Iterable[TenantPlan],
        retired: Iterable[Retired] = (),
        *,
        deep: bool | Collection[str] = True,
        abandon: Mapping[str, Collection[str]] | None = None,
    ) -> Report:
        """Bring every tenant to its plan and report on each; raises Unavailable when the broker is away.

        `deep` looks at consumers of all tenants, or of those named. `abandon` names, by slug, removed destinations
        whose waiting messages may be thrown away. A tenant that is neither planned nor retired is left as it is.
        """
        async with self._lock:
            return await self._reconcile(plans, retired, deep=deep, abandon=abandon or {})

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
        streams = await self._jetstream.streams()
        await self._ensure_buckets(streams)
        gate = asyncio.Semaphore(PARALLEL)

        async def one(work: TenantPlan | Retired) -> TenantReport:
            async with gate:
                with metrics.RECONCILE_SECONDS.labels("Tenant").time():
                    report = await self._one(work, streams, deep=deep, abandon=abandon)
            metrics.RECONCILE_TOTAL.labels("Tenant", report.result).inc()
            return report

        work: list[TenantPlan | Retired] = [*wanted.values(), *gone.values()]
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
        except Refused as error:
            return TenantReport(slug=slug, result="failed", reasons=(str(error),), stream=names.stream(slug))

    async def _ensure_buckets(self, streams: Mapping[str, StreamInfo]) -> None:
        for name in desired.BUCKETS:
            if f"KV_{name}" not in streams:
                try:
                    await self._jetstream.create_stream(desired.bucket(name, replicas=self._replicas))
                except Refused as error:
                    raise Unavailable(f"bucket {name}: {error}") from error
        await self._vault.open(streams.get(f"KV_{names.PLANS_BUCKET}"))

    async def run(
        self,
        source: Callable[[], Iterable[TenantPlan]],
        interval_s: float = 5.0,
        *,
        retired: Callable[[], Iterable[Retired]] = tuple,
        on_report: Callable[[Report], None] = lambda report: None,
    ) -> None:
        """Reconcile for ever: at an interval, at once after a reconnect and when a worker misses a lane."""
        subscription = await self._subscribe()
        connects, next_at = -1, 0.0
        try:
            while True:
                seen = self._client.stats["reconnects"]
                due = time.monotonic() >= next_at
                if self._client.is_connected and (seen != connects or self._asked or due):
                    work = self._round_of(source, retired, on_report, all_of_it=seen != connects)
                    done = await self._while_connected(work, seen)
                    connects = seen if done else -1
                    next_at = time.monotonic() + interval_s
                    await asyncio.sleep(0 if done or not self._client.is_connected else RETRY_S)
                await asyncio.sleep(TICK_S)
        finally:
            if not self._client.is_closed:
                await subscription.unsubscribe()

    async def _while_connected(self, work: Coroutine[None, None, bool], connects: int) -> bool:
        """Give a round up when its connection is lost: its requests would only wait for their time-outs."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=TICK_S)
                if not self._client.is_connected or self._client.stats["reconnects"] != connects:
                    return False
            return task.result()
        finally:
            task.cancel()

    async def _subscribe(self) -> Subscription:
        async def asked(message: Msg) -> None:
            self._asked.add(message.data.decode(errors="replace"))

        return await self._client.subscribe(names.PROVISION_SUBJECT, cb=asked)

    async def _round_of(
        self,
        source: Callable[[], Iterable[TenantPlan]],
        retired: Callable[[], Iterable[Retired]],
        on_report: Callable[[Report], None],
        *,
        all_of_it: bool,
    ) -> bool:
        """One reconciliation; False when it did not come to its end."""
        asked, self._asked = self._asked, set()
        try:
            async with self._lock:  # first: what is declared may change while another reconciliation goes on
                plans = tuple(source())
                self._round += 1
                in_turn = {plan.slug for n, plan in enumerate(plans) if n % TURNS == self._round % TURNS}
                deep = True if all_of_it or "" in asked else in_turn | asked
                report = await self._reconcile(plans, retired(), deep=deep, abandon={})
                on_report(report)
        except Exception as error:
            self._asked |= asked
            self._failed(error)
            return False
        self._log(report)
        return True

    def _failed(self, error: Exception) -> None:
        """Count a failed round; log it once until it changes or is over."""
        metrics.RECONCILE_TOTAL.labels("Tenant", "failed").inc()
        if type(error).__name__ != self._trouble:
            self._trouble = type(error).__name__
            if isinstance(error, Unavailable):
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
