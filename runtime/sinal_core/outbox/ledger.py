"""What a ledger of delivery speaks of, and what is asked of one.

The promises of every `Ledger`: an attempt is committed before its request leaves; a claim is
fenced, so that a row moves only for the worker that still holds it; an attempt that a lost worker
left open is told as a doubt by the next claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

Outcome = Literal["delivered", "retry", "throttled", "refused", "auth", "in_doubt"]
Status = Literal["pending", "delivered", "withheld", "dead"]

# Why an entry was given up. A product adds words of its own for what it finds before sending.
REJECTED = "rejected"  # refused, and it would be again
IN_DOUBT = "in_doubt"  # it may have arrived, and a person decides whether to send it again
EXHAUSTED = "exhausted"  # tried as often as the destination's terms allow
TOO_OLD = "too_old"  # waited for longer than it makes sense to send it
INTERNAL_ERROR = "internal_error"  # a message that names no entry


class Ref(msgspec.Struct, frozen=True):
    """An entry of the outbox as its message names it."""

    id: int
    created_ms: int  # Unix ms


class Entry(Protocol):
    """A claimed entry; each product's has more."""

    @property
    def ref(self) -> Ref:
        """As its message names it."""
        ...

    @property
    def id(self) -> int:
        """The same as the one of `ref`."""
        ...

    @property
    def attempts(self) -> int:
        """How often it was claimed and counted: the fencing token of this claim."""
        ...

    @property
    def doubted(self) -> bool:
        """Whether a lost worker may have sent it."""
        ...


E = TypeVar("E", bound=Entry)


class Request(msgspec.Struct, frozen=True):
    """A request that is written down and may leave."""

    id: int
    created_at: datetime


class Claim(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What came of asking for entries."""

    rows: list[E]
    request: Request | None  # None when nothing was claimed
    # not due, or held by another worker: seconds until it may be asked for again
    waiting: dict[Ref, float]
    settled: list[Ref]  # nothing is left to do


class Result(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What becomes of one entry.

    `outcome` None: it was not part of the request. `status` None: it stays claimed, another request
    follows.
    """

    row: E
    outcome: Outcome | None = None
    status: Status | None = None
    reason: str | None = None
    detail: str | None = None
    delay_s: float = 0.0
    counted: bool = True  # False: the try said nothing about the entry
    doubts: int = 0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request, as the ledger keeps it."""

    sent: int
    verdict: str | None = None  # what it meant
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    trace_id: str | None = None
    answer: str | None = None
    latency_ms: int | None = None


class ClaimLost(Exception):
    """Another worker took over some of the entries; this one must not send them."""


class Ledger(Protocol[E]):
    """Outbox and ledger of one product; raises StoreUnavailable, StoreRejected."""

    async def claim(
        self, tenant: str, destination: str, refs: Sequence[Ref], *, lease_s: float
    ) -> Claim[E]:
        """Take the entries that are due and open their attempts."""
        ...

    async def reopen(
        self,
        tenant: str,
        destination: str,
        rows: Sequence[E],
        unresolved: Sequence[E],
        *,
        lease_s: float,
    ) -> Request:
        """Write down a further request for `rows` and prolong the claims of all `unresolved`.

        Raises ClaimLost.
        """
        ...

    async def settle(
        self,
        tenant: str,
        results: Sequence[Result[E]],
        *,
        request: Request | None,
        answered: Answered | None = None,
    ) -> set[int]:
        """Close attempts and move entries; returns the ids that moved."""
        ...

    async def forget(self, request: Request) -> None:
        """Take back a request that never left."""
        ...

    async def refusals(self, rows: Sequence[E]) -> dict[int, int]:
        """How often each entry was refused alone."""
        ...

    async def bury(
        self, tenant: str, destination: str, *, body: bytes, reason: str, detail: str, tries: int
    ) -> None:
        """Keep a message that names no entry as a dead letter."""
        ...

    async def make_due(self, lanes: Sequence[tuple[str, str]]) -> int:
        """Let the entries of these destinations (tenant, name) wait no longer; how many did."""
        ...

    async def expire(self, *, most: int = 1_000) -> dict[str, int]:
        """Give up entries that waited for too long; how many by tenant."""
        ...
