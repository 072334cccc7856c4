"""Tenants on their way out: what to take away from NATS, and when the API server may forget them.

A Tenant is held by the operator's finalizer until its plan, and by its policy its queue, are gone.
Invariant: what is told about one Tenant object never releases another, even one of the same name or
slug.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from sinal_crds.models import Tenant
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.object_cache import ObjectCache, Seen
from sinal_operator.provision.report import ENDED, Retired, TenantReport

log = logging.getLogger(__name__)


def retirement(seen: Seen) -> Retired:
    """What a Tenant that goes wants.

    Also of one that can't be read, because deleting must work all the same.
    """
    _, namespace, name = seen.key
    if isinstance(seen.manifest, Tenant):
        slug, policy = seen.manifest.slug, seen.manifest.spec.deletion_policy
    else:
        # Whether it said Delete can't be known for sure, and a queue that is kept can still be
        # deleted.
        slug, policy = str(seen.spec.get("slug") or name), "Retain"
    return Retired(slug=slug, uid=seen.uid, deletion_policy=policy, namespace=namespace, name=name)


class Finalization:
    """The tenants that leave, by UID."""

    def __init__(self, object_cache: ObjectCache) -> None:
        self._object_cache = object_cache
        # released before NATS could be cleaned; tried while we live
        self._abandoned: dict[str, Retired] = {}
        self._released: dict[str, str] = {}  # UID -> what became of it
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._known: dict[str, Seen] = {}

    def retired(self) -> tuple[Retired, ...]:
        """What NATS is to be rid of: one tenant for each slug, whoever waits for it.

        Only NATS knows whose plan and queue it has: one that leaves and has neither is told so, and
        nothing is touched.
        """
        self._notice()
        leaving = {**self._abandoned, **{s.uid: retirement(s) for s in self.leaving()}}
        chosen: dict[str, Retired] = {}
        for uid, tenant in leaving.items():
            if uid not in self._released:
                chosen.setdefault(tenant.slug, tenant)
        return tuple(chosen.values())

    def reported(self, offered: tuple[Retired, ...], reports: Mapping[str, TenantReport]) -> None:
        """Note what became of those that `retired` gave."""
        for tenant in offered:
            report = reports.get(tenant.slug)
            if report is not None and report.result in ENDED:
                self._release(
                    tenant.uid,
                    "; ".join((*report.changes, *report.reasons)) or "nothing was left of it",
                )

    async def outcome(self, uid: str, wait_s: float) -> str | None:
        """What became of a Tenant, as soon as that is known; None when it is not in time."""
        try:
            async with asyncio.timeout(wait_s):
                await self._news[uid].wait()
        except TimeoutError:
            return None
        return self._released[uid]

    def abandon(self, seen: Seen) -> Retired:
        """Let a Tenant go though NATS still has what was its own.

        That is removed if NATS comes back while we run.
        """
        return self._abandoned.setdefault(seen.uid, retirement(seen))

    def give_up(self, seen: Seen, recorder: EventRecorder, patience_s: float) -> None:
        """Abandon it, and say so where a person looks."""
        left = self.abandon(seen)
        message = (
            f"released after {patience_s:.0f} s without NATS: stream T-{left.slug} and key "
            f"{left.slug} of the bucket "
            f"sinal_plans may be left; the operator removes them (policy {left.deletion_policy}) "
            "if NATS answers "
            "before it restarts, else a person must"
        )
        log.error("Tenant %s/%s: %s", left.namespace, left.name, message)
        recorder.tell(seen, "Warning", "ReleasedUncleaned", message)

    def may_go(self, uid: str) -> bool:
        """Whether the API server may forget it."""
        return uid in self._released or uid in self._abandoned

    def abandoned(self) -> frozenset[str]:
        """UIDs of those whose plan is to be removed though they may be gone already."""
        return frozenset(self._abandoned)

    def leaving(self) -> list[Seen]:
        """Tenants that are being deleted."""
        return [seen for seen in self._object_cache if seen.key[0] == "Tenant" and seen.deleting]

    def _notice(self) -> None:
        """Forget who is gone.

        Who went without us, its finalizer taken away by hand, loses its plan and no queue.
        """
        there = {seen.uid: seen for seen in self._object_cache if seen.key[0] == "Tenant"}
        for uid in self._known.keys() - there.keys():
            seen = self._known[uid]
            if self._released.pop(uid, None) is None and seen.kept:
                self._abandoned.setdefault(
                    uid, msgspec.structs.replace(retirement(seen), deletion_policy="Retain")
                )
            self._news.pop(uid, None)
        self._known = there

    def _release(self, uid: str, what: str) -> None:
        self._abandoned.pop(uid, None)
        # `_notice` forgets only UIDs that it knew: a note about any other would stay for ever.
        if uid in self._known:
            self._released[uid] = what
            self._news[uid].set()
