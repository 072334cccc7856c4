"""Watch the bucket of compiled plans and hold the newest snapshot.

Invariants: `snapshot` is always whole and never goes back to less because the broker is away, has
lost its data, or holds a plan that can't be read: the last good plan of a tenant stays until a
newer one or its removal arrives. A key that is absent from a bucket counts as removed only if the
bucket is the one it was read from. With a gate, no plan is in the snapshot whose Tenant the gate
has not admitted; one that was admitted stays so while the store is away. Who has the edge's keys
alone does not start on plans that the release before has sealed: the operator seals them again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from sinal_core.nats.client import Bus
from sinal_core.nats.kv import Bucket
from sinal_core.plans.cache import Cached, PlanCache
from sinal_core.plans.snapshot import HeldPlan, SlugHolder, Snapshot
from sinal_core.telemetry.places import where
from sinal_crds import names
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import (
    Keyring,
    NotForTheEdge,
    TamperedPlan,
    UnknownKey,
    UnsupportedPlanVersion,
    unseal,
)

log = structlog.get_logger(__name__)

Callback = Callable[[Snapshot], None]
RESTART_S = 1.0
CACHE_AFTER_S = 2.0  # without the bucket for so long, the cache has to do
ASK_AGAIN_S = 1.0  # of plans that are not admitted
SEALED_AGAIN_S = 60.0  # with some plans readable, so long are the others waited for


class Gate(Protocol):
    """Who says whether a tenant's rows are its plan's.

    `store.plan_owners.OwnersGate` in production.
    """

    async def claim(self, plans: Sequence[TenantPlan]) -> Mapping[str, SlugHolder]:
        """Those that are another Tenant's, by slug.

        May raise: then none of them is admitted yet.
        """
        ...


class Plans:
    """The plans of all tenants, kept up to date."""

    def __init__(
        self,
        bus: Bus,
        keyring: Keyring,
        *,
        cache: PlanCache | None = None,
        reserved: ReservedHosts = NOTHING_RESERVED,
        gate: Gate | None = None,
    ) -> None:
        self._reserved = reserved
        self._gate = gate
        # slug -> UID, namespace and name of the plan that was
        self._admitted: dict[str, tuple[str, ...]] = {}
        self._held: dict[str, HeldPlan] = {}
        self._judging = asyncio.Lock()
        self._again: asyncio.Task[None] | None = None
        self._bus = bus
        self._keyring = keyring
        self._cache = cache
        self._snapshot = Snapshot()
        self._good: dict[str, TenantPlan] = {}
        self._raw: dict[str, bytes] = {}  # what each good or refused plan was read from
        self._sealed: dict[str, bytes] = {}  # what each good plan was read from
        self._created = ""
        # keys of that bucket; plans of a lost one are not among them
        self._present: frozenset[str] = frozenset()
        self._loaded = asyncio.Event()
        self._awaited: set[str] = set()  # plans that nobody has sealed for the edge yet
        self._readable = asyncio.Event()  # none is awaited
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
        """Load all plans and keep watching.

        Waits for the bucket as long as it takes, or raises TimeoutError.

        With a cache that holds plans it waits two seconds and then goes on with those.
        """
        cached = Cached() if self._cache is None else await asyncio.to_thread(self._cache.read)
        self._task = asyncio.create_task(self._watch())
        if self._gate is not None:
            self._again = asyncio.create_task(self._ask_again(self._gate))
        try:
            async with asyncio.timeout(CACHE_AFTER_S if cached.plans else timeout_s):
                await self._loaded.wait()
        except TimeoutError:
            if not cached.plans:
                raise
            log.warning("plans.from_cache", tenants=len(cached.plans))
            await self._take(
                Bucket(cached.created, {slug: raw.encode() for slug, raw in cached.plans.items()})
            )
        if self._awaited:
            await self._sealed_again()

    async def _sealed_again(self) -> None:
        """Wait until the operator, upgraded as well, has sealed all plans for the edge.

        Who came before this process takes events meanwhile. Some plans that stay as they are keep
        nobody else waiting.
        """
        log.warning("plans.awaited", tenants=len(self._awaited))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEALED_AGAIN_S if self._good else None):
                await self._readable.wait()

    async def stop(self) -> None:
        """Stop watching; the snapshot stays."""
        tasks = [task for task in (self._task, self._again) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._again = None

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
                    changed = await self._take(bucket)
                    self._loaded.set()
                    if changed and self._cache is not None:
                        await asyncio.to_thread(
                            self._cache.write, bucket.created, dict(self._sealed)
                        )
            except Exception as error:
                log.error("plans.watch_failed", error=type(error).__name__, at=where(error))
            await asyncio.sleep(RESTART_S)

    async def _take(self, bucket: Bucket) -> bool:
        changed = False
        for slug, raw in bucket.values.items():
            changed |= self._forget(slug) if raw is None else self._read(slug, raw)
        if bucket.created == self._created:
            for slug in self._present - bucket.values.keys():
                changed |= self._forget(slug)
        self._created, self._present = bucket.created, frozenset(bucket.values)
        if self._gate is not None:
            changed |= await self._judge(self._gate)
        self._publish(changed)
        if self._awaited:
            self._readable.clear()
        else:
            self._readable.set()
        return changed

    async def _ask_again(self, gate: Gate) -> None:
        """Ask about plans that were not admitted: the slug may have been handed over, the store be
        back.
        """
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            self._publish(await self._judge(gate))

    async def _judge(self, gate: Gate) -> bool:
        """Ask the gate about plans of Tenants that it has not admitted.

        Returns whether an answer is another one.
        """
        # `_take` and `_ask_again` both come here: an answer that is late must not undo a newer one
        async with self._judging:
            asked = [
                plan
                for slug, plan in self._good.items()
                if self._admitted.get(slug) != _identity(plan)
            ]
            if not asked:
                return False
            try:
                taken = await gate.claim(asked)
            except Exception as error:
                log.warning(
                    "plans.not_admitted",
                    error=type(error).__name__,
                    at=where(error),
                    tenants=len(asked),
                )
                return False
            before = dict(self._held)
            for plan in asked:
                if self._good.get(plan.slug) is not plan:
                    continue  # it changed meanwhile: who changed it asks next
                if plan.slug in taken:
                    self._admitted.pop(plan.slug, None)
                    self._held[plan.slug] = HeldPlan(plan, taken[plan.slug])
                else:
                    self._held.pop(plan.slug, None)
                    self._admitted[plan.slug] = _identity(plan)
            for slug in self._held.keys() - before.keys():
                owner = self._held[slug].owner
                log.warning("plans.held", tenant=slug, owner=owner.home, leaving=owner.leaving)
            return self._held != before or len(taken) < len(asked)

    def _admits(self, plan: TenantPlan) -> bool:
        return self._gate is None or self._admitted.get(plan.slug) == _identity(plan)

    def _publish(self, changed: bool) -> None:
        if changed:
            admitted = [plan for plan in self._good.values() if self._admits(plan)]
            self._snapshot = Snapshot(admitted, reserved=self._reserved, held=self._held)
            log.info("plans.changed", tenants=len(admitted))
            for callback in tuple(self._callbacks):
                self._call(callback)

    def _forget(self, slug: str) -> bool:
        self._raw.pop(slug, None)
        self._awaited.discard(slug)
        self._sealed.pop(slug, None)
        self._admitted.pop(slug, None)
        self._held.pop(slug, None)
        return self._good.pop(slug, None) is not None

    def _read(self, slug: str, raw: bytes) -> bool:
        """Take a plan in if it is new and readable; returns whether the snapshot changes."""
        if self._raw.get(slug) == raw:
            return False
        # also of a plan that is refused below: it is reported once, not at every change of the
        # bucket
        self._raw[slug] = raw
        try:
            plan = unseal(raw, self._keyring)
            # A plan is bound to its own slug, not to the key it lies under: copied there it opens
            # as well.
            if plan.slug != slug:
                raise TamperedPlan(f"it is the plan of {plan.slug!r}")
        except (TamperedPlan, UnknownKey, UnsupportedPlanVersion) as error:
            kept = "the last good one stays" if slug in self._good else "the tenant is unknown"
            if isinstance(error, NotForTheEdge) and slug not in self._good:
                self._awaited.add(slug)
            log.error("plans.refused", tenant=slug, reason=str(error), kept=kept)
            return False
        self._awaited.discard(slug)
        changed = self._good.get(slug) != plan
        self._good[slug], self._sealed[slug] = plan, raw
        return changed

    def _call(self, callback: Callback) -> None:
        try:
            callback(self._snapshot)
        except Exception as error:
            log.error("plans.callback_failed", error=type(error).__name__, at=where(error))


def _identity(plan: TenantPlan) -> tuple[str, ...]:
    return plan.uid, plan.namespace, plan.name
