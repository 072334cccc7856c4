"""What the operations API asks of the rooms below it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from sinal_core.nats.client import Publisher
from sinal_core.nats.depth import Depth
from sinal_core.plans.snapshot import HeldPlan
from sinal_crds.plan import DestinationPlan
from sinal_hub.intake import ports as intake
from sinal_hub.meta.tokens import TokenState
from sinal_hub.store.reading import EventDetail, EventFilter, Ledger, Page

Check = Callable[[], Awaitable[bool]]


class Events(Protocol):
    """Reading events; `store.reading.EventReader` in production."""

    async def get_event(self, tenant: str | None, event_id: str) -> EventDetail | None:
        """One event with its timeline."""
        ...

    async def list_events(self, filters: EventFilter, *, cursor: str | None, limit: int) -> Page:
        """A page of events, newest first; raises InvalidCursor."""
        ...

    async def ledger(self, tenant: str | None) -> Ledger:
        """How the accepted events ended."""
        ...

    async def ping(self) -> bool:
        """Whether the store answers."""
        ...


class Snapshot(intake.Snapshot, Protocol):
    """All plans with their look-ups, and those that wait for a slug which another owner has."""

    @property
    def held(self) -> Mapping[str, HeldPlan]: ...


class Plans(Protocol):
    """Where the current snapshot is found."""

    @property
    def snapshot(self) -> Snapshot: ...


class Bus(Publisher, Protocol):
    """Publishing, and what waits where."""

    async def depths(self, *, ages: bool = False) -> list[Depth]:
        """What waits in every lane, with ages since when; raises BusError."""
        ...

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = 5.0) -> bytes:
        """One call of the JetStream API; raises BusError."""
        ...


class Tokens(Protocol):
    """Asks Meta about tokens; `meta.tokens.GraphTokens` in production."""

    async def check(self, destination: DestinationPlan) -> TokenState | None:
        """None when Meta does not answer."""
        ...
