"""What dispatch needs of its surroundings, so that a test can stand in for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sinal_crds.plan import DestinationPlan
from sinal_hub.meta.answer import GraphAnswer
from sinal_hub.store.ledger import Answered, Claim, Ref, Request, Result, Row


class Graph(Protocol):
    """Sends one request of server events."""

    async def send(
        self, destination: DestinationPlan, events: Sequence[Mapping[str, Any]]
    ) -> GraphAnswer:
        """Send; a failure is an answer too, nothing is raised for one."""
        ...


class Lane(Protocol):
    """Where messages come from: a destination of a tenant."""

    @property
    def tenant(self) -> str:
        """Slug."""
        ...

    @property
    def key(self) -> str:
        """The destination's name."""
        ...


class Message(Protocol):
    """One delivery of the bus; the first settlement counts."""

    body: bytes
    deliveries: int
    traceparent: str | None

    async def ack(self) -> None:
        """Done with it."""
        ...

    async def nak(self, delay_s: float = 0.0) -> None:
        """Again, after the delay."""
        ...

    async def hold(self, delay_s: float, *, whole_lane: bool = False) -> None:
        """Again after the delay, or when the lane is woken.

        With `whole_lane` nothing of it can be done before.
        """
        ...

    async def term(self) -> None:
        """Never again."""
        ...


class Ledger(Protocol):
    """Outbox and ledger, as `store.delivery.DeliveryStore` keeps them."""

    async def claim(
        self, tenant: str, destination: str, refs: Sequence[Ref], *, lease_s: float
    ) -> Claim:
        """Take the rows that are due and open their attempts."""
        ...

    async def reopen(
        self,
        tenant: str,
        destination: str,
        rows: Sequence[Row],
        unresolved: Sequence[Row],
        *,
        lease_s: float,
    ) -> Request:
        """Write down a further request."""
        ...

    async def settle(
        self,
        tenant: str,
        results: Sequence[Result],
        *,
        request: Request | None,
        answered: Answered | None = None,
    ) -> set[int]:
        """Close attempts and move rows; returns the ids that moved."""
        ...

    async def forget(self, request: Request) -> None:
        """Take back a request that never left."""
        ...

    async def refusals(self, rows: Sequence[Row]) -> dict[int, int]:
        """How often each row was refused alone."""
        ...

    async def bury(
        self, tenant: str, destination: str, *, body: bytes, reason: str, detail: str, tries: int
    ) -> None:
        """Keep a message that names no row as a dead letter."""
        ...

    async def make_due(self, lanes: Sequence[tuple[str, str]]) -> int:
        """Let the rows of these destinations (tenant, name) wait no longer; how many did."""
        ...

    async def expire(self, *, most: int = 1_000) -> dict[str, int]:
        """Give up rows that waited for too long; how many by tenant."""
        ...


class Bus(Protocol):
    """How dispatchers tell one another something; what gets lost is no harm."""

    async def send(self, subject: str, body: bytes = b"", *, reply: str = "") -> bool:
        """Tell whoever listens; False when there is no connection."""
        ...

    async def listen(self, subject: str, heard: Callable[[bytes], None]) -> None:
        """Call back with each body, as long as the connection lives."""
        ...


class Circuits(Protocol):
    """Where this process says which breakers are not closed.

    `store.tenant_status.CircuitStore` in production.
    """

    async def opened(self, tenant: str, destination: str, *, reason: str, wait_s: float) -> None:
        """Nothing is sent to it for so long."""
        ...

    async def closed(self, tenant: str, destination: str) -> None:
        """It is sent to again."""
        ...
