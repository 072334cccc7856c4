"""Watch the bucket of compiled plans and hold the newest snapshot.

Invariants: `snapshot` is always whole and never goes back to less because the broker is away, has lost its data, or
holds a plan that can't be read: the last good plan of a tenant stays until a newer one or its removal arrives. A key
that is absent from a bucket counts as removed only if the bucket is the one it was read from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from sinal_crds import names
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import Keyring, TamperedPlan, UnknownKey, UnsupportedPlanVersion, unseal
from sinal_runtime.bus.client import Bus
from sinal_runtime.bus.errors import where
from sinal_runtime.bus.kv import Bucket
from sinal_runtime.plans.cache import Cached, PlanCache
from sinal_runtime.plans.snapshot import Snapshot

log = structlog.get_logger(__name__)

Callback = Callable[[Snapshot], None]
RESTART_S = 1.0
CACHE_AFTER_S = 2.0  # without the bucket for so long, the cache has to do


class Plans:
    """The plans of all tenants, kept up to date."""

    def __init__(
        self,
        bus: Bus,
        keyring: Keyring,
        *,
        cache: PlanCache | None = None,
        reserved: ReservedHosts = NOTHING_RESERVED,
    ) -> None:
        self._reserved = reserved
        self._bus = bus
        self._keyring = keyring
        self._cache = cache
        self._snapshot = Snapshot()
        self._good: dict[str, TenantPlan] = {}
        self._raw: dict[str, bytes] = {}  # what each good or refused plan was read from
        self._sealed: dict[str, bytes] = {}  # what each good plan was read from
        self._created = ""
        self._present: frozenset[str] = frozenset()  # keys of that bucket; plans of a lost one are not among them
        self._loaded = asyncio.Event()
        self._callbacks: list[Callback] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The newest plans; empty before `start` has returned."""
        return self._snapshot

    @property
    def loaded(self) -> bool:
        """Whether the bucket was read at least once."""
        return self._loaded.is_set()

    async def start(self, *, timeout_s: float | None = None) -> None:
        """Load all plans and keep watching; waits for the bucket as long as it takes, or raises TimeoutError.

        With a cache that holds plans it waits two seconds and then goes on with those.
        """
        cached = Cached() if self._cache is None else await asyncio.to_thread(self._cache.read)
        self._task = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(CACHE_AFTER_S if cached.plans else timeout_s):
                await self._loaded.wait()
        except TimeoutError:
            if not cached.plans:
                raise
            log.warning("plans.from_cache", tenants=len(cached.plans))
            self._take(Bucket(cached.created, {slug: raw.encode() for slug, raw in cached.plans.items()}))

    async def stop(self) -> None:
        """Stop watching; the snapshot stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call back with the snapshot now and after every change; returns how to stop that."""
        self._callbacks.append(callback)
        self._call(callback)

        def forget() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return forget

    async def _watch(self) -> None:
        while True:
            try:
                async for bucket in self._bus.watch(names.PLANS_BUCKET):
                    changed = self._take(bucket)
                    self._loaded.set()
                    if changed and self._cache is not None:
                        await asyncio.to_thread(self._cache.write, bucket.created, dict(self._sealed))
            except Exception as error:
                log.error("plans.watch_failed", error=type(error).__name__, at=where(error))
            await asyncio.sleep(RESTART_S)

    def _take(self, bucket: Bucket) -> bool:
        changed = False
        for slug, raw in bucket.values.items():
            changed |= self._forget(slug) if raw is None else self._read(slug, raw)
        if bucket.created == self._created:
            for slug in self._present - bucket.values.keys():
                changed |= self._forget(slug)
        self._created, self._present = bucket.created, frozenset(bucket.values)
        self._publish(changed)
        return changed

    def _publish(self, changed: bool) -> None:
        if changed:
            self._snapshot = Snapshot(self._good.values(), reserved=self._reserved)
            log.info("plans.changed", tenants=len(self._good))
            for callback in tuple(self._callbacks):
                self._call(callback)

    def _forget(self, slug: str) -> bool:
        self._raw.pop(slug, None)
        self._sealed.pop(slug, None)
        return self._good.pop(slug, None) is not None

    def _read(self, slug: str, raw: bytes) -> bool:
        """Take a plan in if it is new and readable; returns whether the snapshot changes."""
        if self._raw.get(slug) == raw:
            return False
        self._raw[slug] = raw
        try:
            plan = unseal(raw, self._keyring)
            if plan.slug != slug:
                raise TamperedPlan(f"it is the plan of {plan.slug!r}")
        except (TamperedPlan, UnknownKey, UnsupportedPlanVersion) as error:
            kept = "the last good one stays" if slug in self._good else "the tenant is unknown"
            log.error("plans.refused", tenant=slug, reason=str(error), kept=kept)
            return False
        changed = self._good.get(slug) != plan
        self._good[slug], self._sealed[slug] = plan, raw
        return changed

    def _call(self, callback: Callback) -> None:
        try:
            callback(self._snapshot)
        except Exception as error:
            log.error("plans.callback_failed", error=type(error).__name__, at=where(error))
