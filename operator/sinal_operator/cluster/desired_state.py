"""What is declared in the cluster, whole: watch events and listings in, compiled plans out.

Invariant: NATS gets nothing of a Tenant that the API server could forget without telling us: a
Tenant counts from the moment that it carries our finalizer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sinal_crds import names
from sinal_crds.compile import Compilation, compile
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_crds.loading import ObjectKey
from sinal_crds.models import Tenant
from sinal_crds.plan import TenantPlan
from sinal_crds.references import Holdings, ReferenceProblem
from sinal_crds.sealing import PlanHolder
from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused
from sinal_operator.cluster.definitions import Definitions
from sinal_operator.cluster.object_cache import ObjectCache, Seen, WatchChange
from sinal_operator.cluster.resources import CUSTOM
from sinal_operator.cluster.secret_cache import SecretCache

RESYNC_S = 300.0  # a listing now and then finds what no watch told of
# a watch that lists again was down, so we list too; watches of all kinds do so within seconds
APART_S = 5.0
_NEWEST = 1 << 63  # of a kind without a definition: whatever was seen of it is gone

Body = dict[str, Any]


@dataclass(frozen=True)
class Declarations:
    """Everything declared at one moment."""

    seen: tuple[Seen, ...]  # what this speaks of; the object cache goes on
    compilation: Compilation
    problems: Mapping[ObjectKey, Sequence[ReferenceProblem]]
    # what NATS is to be brought to; the compilation has those of tenants left alone too
    plans: tuple[TenantPlan, ...]
    # tenants left alone because a part of them can't be read, and why
    held: Mapping[ObjectKey, str]
    paused: frozenset[ObjectKey]


class DesiredState:
    """Keeps the object cache and the Secrets right, and compiles them."""

    def __init__(
        self,
        client: ApiServerClient,
        object_cache: ObjectCache,
        keyring: Keyring,
        definitions: Definitions | None = None,
        *,
        reserved: ReservedHosts = NOTHING_RESERVED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reserved, self._definitions = reserved, definitions or Definitions()
        self._client, self._object_cache, self._keyring, self._clock = (
            client,
            object_cache,
            keyring,
            clock,
        )
        self._secret_cache = SecretCache(client)
        self._listed_at: float | None = None
        self._list_at = 0.0  # when the next listing is due

    @property
    def synced(self) -> bool:
        """Whether all objects have been listed at least once."""
        return self._listed_at is not None

    @property
    def due_in_s(self) -> float:
        """Seconds until the next listing is due."""
        return max(0.0, self._list_at - self._clock())

    def saw(self, event_type: str | None, body: Body) -> bool:
        """Note an event of an object's watch, without a type where it is part of a listing.

        Whether it is news.
        """
        change = (
            self._object_cache.remove(body)
            if event_type == "DELETED"
            else self._object_cache.put(body)
        )
        relisted = (
            event_type is None
            and self._listed_at is not None
            and self._list_after(self._listed_at + APART_S)
        )
        return change is not WatchChange.NOTHING or relisted

    def _list_after(self, moment: float) -> bool:
        """Have a listing by then at the latest; whether that is sooner than it was to be."""
        sooner = moment < self._list_at
        self._list_at = min(moment, self._list_at)
        return sooner

    def saw_secret(self, event_type: str | None, body: Body) -> bool:
        """Note an event of a Secret's watch; whether plans may change by it."""
        return self._secret_cache.event(body, gone=event_type == "DELETED")

    async def take(self, holders: Iterable[PlanHolder] | None) -> Declarations:
        """Everything as it is now; raises Unreachable or Refused.

        `holders` are None while NATS has not told.
        """
        if self.due_in_s == 0:
            await self._list()
        seen, objects = tuple(self._object_cache), self._object_cache.objects()
        secrets = await self._secret_cache.fetch(objects)
        # While NATS is silent, statuses are the next best witness: without one, an older Tenant
        # that claims the slug now would win over the one that has it.
        holding = holdings(holders) if holders is not None else _told(seen)
        compilation = compile(
            objects, secrets, self._keyring, reserved=self._reserved, held=holding
        )
        problems: dict[ObjectKey, list[ReferenceProblem]] = {}
        for problem in self._secret_cache.explained(compilation.problems):
            problems.setdefault((problem.kind, problem.namespace, problem.name), []).append(problem)
        tenants = [one for one in seen if one.key[0] == "Tenant"]
        held, paused = _held(seen), frozenset(one.key for one in tenants if one.paused)
        left_alone = {*held, *paused, *(one.key for one in tenants if not one.kept)}
        plans = tuple(
            p for p in compilation.plans if ("Tenant", p.namespace, p.name) not in left_alone
        )
        return Declarations(seen, compilation, problems, plans, held, paused)

    async def _list(self) -> None:
        """Take full listings for what there is."""
        self._object_cache.listing()
        for kind, resource in CUSTOM.items():
            # All pages first: half a listing would look like a deletion of the rest.
            bodies: list[Body] = []
            # of several namespaces the oldest counts: after it things may have come
            versions: list[int] = []
            try:
                async for page, at in self._client.pages(resource):
                    bodies += page
                    versions.append(int(at))
            except ApiServerRefused as error:
                if not (error.gone and self._definitions.gone(kind)):
                    raise
                versions = [_NEWEST]
            self._object_cache.replace(kind, bodies, min(versions))
        self._secret_cache.forget()
        self._listed_at = self._clock()
        self._list_at = self._listed_at + RESYNC_S * random.uniform(0.9, 1.1)  # noqa: S311 - jitter


def holdings(holders: Iterable[PlanHolder]) -> Holdings:
    """What Tenants have by the plans in force."""
    found = tuple(holders)
    return Holdings(
        slugs={one.slug: one.uid for one in found},
        hosts={host: one.uid for one in found for host in one.hosts},
    )


def _told(objects: Iterable[Seen]) -> Holdings:
    """What Tenants have by what their statuses say."""
    tenants = [
        seen.manifest
        for seen in objects
        if isinstance(seen.manifest, Tenant)
        and not seen.deleting
        and (seen.status.get("stream") == names.stream(seen.manifest.slug))
    ]
    # Statuses name no hosts, so that hosts are not held here; NATS is not written meanwhile anyway.
    return Holdings(slugs={t.slug: t.metadata.uid for t in tenants if t.metadata.uid})


def _held(objects: Iterable[Seen]) -> dict[ObjectKey, str]:
    """Tenants with a member that can't be read: a plan without it would take away what works."""
    return {
        seen.tenant: f"{seen.key[0]} {seen.key[2]} can't be read, so the tenant is left as it is: "
        f"{seen.fault}"
        for seen in objects
        if seen.manifest is None and not seen.deleting
    }
