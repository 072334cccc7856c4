"""What the edge needs from other rooms, as protocols: tests and embedded stacks bring their own.

The bus's errors are those of `sinal_core.nats.errors`; everything else here is duck-typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sinal_core.nats.client import Outgoing
from sinal_core.nats.errors import BusError
from sinal_crds.plan import FunnelPlan, IntegrationPlan, TenantPlan
from sinal_hub.spool import SpoolEntry, SpoolState


class Published(Protocol):
    """The broker's ack."""

    @property
    def duplicate(self) -> bool: ...


class Bus(Protocol):
    """The broker."""

    @property
    def connected(self) -> bool: ...

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = ...
    ) -> Published: ...

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = ...
    ) -> Sequence[Published | BusError]: ...

    def request_provision(self, slug: str | None = None) -> None: ...


class Beginner(Protocol):
    """A broker that a publish need not be awaited for."""

    def begin(
        self,
        subject: str,
        body: bytes,
        *,
        msg_id: str,
        timeout_s: float,
        done: Callable[[Published | BusError], None],
    ) -> bool:
        """Publish and have `done` called once; False where only `Bus.publish` will do.

        Raises BusError.
        """
        ...


class Detour(Protocol):
    """The way round a broker that is away; `spool.Detour` in production."""

    @property
    def state(self) -> SpoolState: ...

    def is_due(self, tenant: str) -> bool: ...

    async def clears(self, tenant: str) -> bool:
        """Whether the direct way becomes free within a moment."""
        ...

    async def take(self, entries: Sequence[SpoolEntry]) -> None:
        """Store on disk, all or none; raises SpoolError, LaneFull."""
        ...

    def failed(self) -> None: ...

    def succeeded(self) -> None: ...

    def observe(self) -> None: ...


class Snapshot(Protocol):
    """Every tenant's plan at one moment, with its look-ups."""

    @property
    def tenants(self) -> Mapping[str, TenantPlan]: ...

    def by_host(self, host: str) -> TenantPlan | None: ...

    def by_public_key(self, key: str) -> tuple[TenantPlan, FunnelPlan] | None: ...

    def by_server_key(self, key: str) -> tuple[TenantPlan, FunnelPlan] | None: ...

    def by_token(self, token: str) -> tuple[TenantPlan, IntegrationPlan] | None: ...


class Plans(Protocol):
    """Where the current snapshot is."""

    @property
    def snapshot(self) -> Snapshot: ...


class Limiter(Protocol):
    """Token buckets by name."""

    def spend(self, bucket: str, cost: int, *, per_minute: int) -> bool:
        """Take tokens where that needs no waiting; False when none was taken."""
        ...

    async def take(self, bucket: str, cost: int, *, per_minute: int) -> float:
        """Take `cost` tokens.

        0 when granted, else the seconds after which asking again makes sense.
        """
        ...


class Quarantine(Protocol):
    """Keeps the verified deliveries that no adapter understands."""

    async def keep(
        self, *, tenant: str, integration: str, gateway: str, raw: bytes, reason: str
    ) -> str:
        """Store one body, encrypted; returns its id, raises `quarantine.CannotKeep`."""
        ...


class Caller(NamedTuple):
    """A funnel that the request may write to."""

    tenant: TenantPlan
    funnel: FunnelPlan
    is_server: bool
