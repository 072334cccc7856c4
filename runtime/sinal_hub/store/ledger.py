"""What the ledger of delivery speaks of: rows of the outbox, requests, what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

ERASED = "{}"  # payload of a row whose person was erased: it is never sent

Outcome = Literal["delivered", "retry", "throttled", "refused", "auth", "in_doubt"]
Status = Literal["pending", "delivered", "withheld", "dead"]


class Ref(msgspec.Struct, frozen=True):
    """A row of the outbox as its message names it."""

    id: int
    created_ms: int  # Unix ms


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row; `attempts` is the fencing token of the claim."""

    ref: Ref
    id: int
    created_at: datetime
    attempts: int
    source_event: str
    funnel: str
    payload_json: str
    consent_ads: bool | None
    received_at: datetime
    doubted: bool  # a lost worker may have sent it


class Request(msgspec.Struct, frozen=True):
    """A request that is written down and may leave."""

    id: int
    created_at: datetime


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking for rows."""

    rows: list[Row]
    request: Request | None  # None when nothing was claimed
    # not due, or held by another worker: seconds until it may be asked for again
    waiting: dict[Ref, float]
    settled: list[Ref]  # nothing is left to do


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one row.

    `outcome` None: it was not part of the request. `status` None: it stays claimed, another request
    follows.
    """

    row: Row
    outcome: Outcome | None = None
    status: Status | None = None
    reason: str | None = None
    detail: str | None = None
    delay_s: float = 0.0
    counted: bool = True  # False: the try said nothing about the event
    doubts: int = 0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request, as the ledger keeps it."""

    sent: int
    verdict: str | None = None  # what it meant
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    fbtrace_id: str | None = None
    answer: str | None = None
    latency_ms: int | None = None
