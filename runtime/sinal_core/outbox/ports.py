"""What a worker of an outbox needs of its surroundings, so that a test can stand in for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from sinal_core.aio.breaker import BreakerState
from sinal_core.outbox.answers import Answer, Kind, Verdict
from sinal_core.outbox.ledger import Entry
from sinal_core.outbox.terms import Terms

Key = tuple[str, str]  # tenant, destination
News = Literal["well", "stopped"]

E_contra = TypeVar("E_contra", bound=Entry, contravariant=True)
P = TypeVar("P")


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


class Gauge(Protocol):
    """Where the state of one destination's breaker is shown."""

    def show(self, state: BreakerState, reason: str | None) -> None:
        """As it stands; a closed breaker has no reason."""
        ...


class Metrics(Gauge, Protocol[E_contra]):
    """What is counted of one destination."""

    def answered(self, kind: Kind, at: float, latency_s: float) -> None:
        """One request was answered, or ended without an answer; `at` is wall time."""
        ...

    def doubted(self) -> None:
        """A lost worker may have sent an entry."""
        ...

    def settled(
        self,
        outcomes: Mapping[str, int],
        dead: Mapping[str, int],
        delivered: Sequence[E_contra],
        now: float,
    ) -> None:
        """Entries by the outcome of their attempt, or `withheld`; those given up by reason; those
        that arrived. `now` is wall time.
        """
        ...


class Unsendable(Exception):
    """The other side would refuse the entry; the message says why, `reason` is the stable word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Destination(Protocol[E_contra, P]):
    """One destination that can be sent to, as its plan is now: what a product brings."""

    @property
    def terms(self) -> Terms:
        """How it is asked."""
        ...

    @property
    def metrics(self) -> Metrics[E_contra]:
        """The same ones as long as the destination exists."""
        ...

    def withheld(self, entry: E_contra) -> str | None:
        """Why an entry must not be sent though nobody is to blame; None: it may."""
        ...

    def payload(self, entry: E_contra) -> P:
        """What is sent for an entry; raises Unsendable."""
        ...

    async def send(self, payloads: Sequence[P]) -> Answer:
        """One request; a failure is an answer too, nothing is raised for one."""
        ...

    def mended(self, payload: P, verdict: Verdict) -> P | None:
        """The payload without what the verdict blames, to be tried again; None: nothing helps."""
        ...


class Destinations(Protocol[E_contra, P]):
    """All destinations of a product."""

    def usable(self, tenant: str, name: str) -> Destination[E_contra, P] | None:
        """One to send to; None where nothing can be sent now (no plan, suspended, no token)."""
        ...


class Bus(Protocol):
    """How workers notify one another; a lost notice does no harm."""

    async def send(self, subject: str, body: bytes = b"", *, reply: str = "") -> bool:
        """Tell whoever listens; False when there is no connection."""
        ...

    async def listen(self, subject: str, heard: Callable[[bytes], None]) -> None:
        """Call back with each body, as long as the connection lives."""
        ...


class Circuits(Protocol):
    """Where this process says which breakers are not closed."""

    async def opened(self, tenant: str, destination: str, *, reason: str, wait_s: float) -> None:
        """Nothing is sent to it for so long."""
        ...

    async def closed(self, tenant: str, destination: str) -> None:
        """It is sent to again."""
        ...
