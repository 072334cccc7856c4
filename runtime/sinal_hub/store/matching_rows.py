"""Rows that matching reads and writes, as the room above sees them: typed, immutable, times as
datetimes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from sinal_hub.model.events import Event, UserData, Utm
from sinal_hub.model.evidence import Subject

Outcome = Literal["sent", "waiting", "withheld"]


class Delivered(msgspec.Struct, kw_only=True, frozen=True):
    """What tells a new event from one that was handled before.

    `natural`: its key may come again at any time.
    """

    id: str
    received_at: datetime
    natural: bool
    expires_at: datetime


class Repeats(msgspec.Struct, frozen=True):
    """How many times more an event has come."""

    id: str
    times: int


class KeyClaim(msgspec.Struct, kw_only=True, frozen=True):
    """A wish to be the only one with this key; without `expires_at` for ever."""

    key: str
    source: Literal["event", "meta"]
    owner: str
    expires_at: datetime | None = None


class ClickKey(msgspec.Struct, frozen=True):
    """What a visitor's row is found by: its id, and a time not too far from when it was first
    seen.
    """

    click_id: str
    ts: datetime


class Mark(msgspec.Struct, kw_only=True, frozen=True):
    """What was asked about somebody: to be forgotten, or not to be used for ads.

    `at_ms` is Unix ms.
    """

    key: str
    kind: Literal["erased", "no_consent"]
    at_ms: int


class OrderKey(msgspec.Struct, frozen=True):
    """What names an order inside a tenant."""

    gateway: str
    order_key: str


class NewOrder(msgspec.Struct, kw_only=True, frozen=True):
    """An order seen for the first time, maybe."""

    gateway: str
    order_key: str
    order_id: str | None
    parent_order_id: str | None
    funnel: str
    integration: str | None
    at: datetime


class OrderRow(msgspec.Struct, kw_only=True, frozen=True):
    """One row of `conversions`, locked.

    `signals` is the JSON of everything its events told of the buyer.
    """

    id: int
    gateway: str
    order_key: str
    order_id: str | None
    funnel: str
    integration: str | None
    amount: Decimal | None
    currency: str | None
    status: str | None
    status_at: datetime | None
    ts: datetime
    last_at: datetime
    email_hash: str | None
    phone_hash: str | None
    signals: msgspec.Raw
    hold_until: datetime | None
    recheck_at: datetime | None
    refunded_parts: Decimal | None
    refunded_total: Decimal | None
    namesake: bool = False  # another gateway's order has the same number, and had it first


class NameRow(msgspec.Struct, kw_only=True, frozen=True):
    """What an order is called besides.

    A `trial` names a subscription that began with nothing to pay, and no order.
    """

    kind: Literal["alias", "trial"]
    name: str
    gateway: str
    order_key: str | None


class Named(msgspec.Struct, frozen=True):
    """A name that may be an order's."""

    gateway: str
    name: str


class FirstCharge(msgspec.Struct, frozen=True):
    """An order that may be the first charge of a subscription, `name`."""

    gateway: str
    name: str
    order_key: str


class Alias(msgspec.Struct, frozen=True):
    """A name and the order it means."""

    gateway: str
    name: str
    target: str


class Misnamed(msgspec.Struct, frozen=True, kw_only=True):
    """An order that stands under a name, and whose id is `target`."""

    gateway: str
    order_key: str
    target: str
    parent_order_id: str | None
    funnel: str
    integration: str | None
    ts: datetime


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """Two orders, by row, that are one: `source` stood under `name`, `target` has the order's
    id.
    """

    source: int
    target: int
    gateway: str
    name: str
    order_key: str


class OpenOrder(msgspec.Struct, kw_only=True, frozen=True):
    """A key by which an order without a match is found again.

    `last_at` is the time of its latest sale.
    """

    conversion_id: int
    key: str
    last_at: datetime


class Due(msgspec.Struct, frozen=True):
    """A wish for at most so many orders that are due now."""

    now: datetime
    most: int


class VisitQuery(msgspec.Struct, kw_only=True, frozen=True):
    """What an order's visits may share with it, and when they were: addresses in a span of their
    own.

    `chosen` is the click of the decision that stands, `parts` are beginnings of ids in small
    letters, `networks` addresses as `clicks` are looked up by.
    """

    id: int
    since: datetime
    proof_since: datetime
    until: datetime
    ip_since: datetime
    ip_until: datetime
    click_ids: list[str]
    chosen: str | None
    parts: list[str]
    session_ids: list[str]
    external_ids: list[str]
    fbclids: list[str]
    fbps: list[str]
    emails: list[str]
    phones: list[str]
    networks: list[str]


class OrderQuery(msgspec.Struct, frozen=True):
    """What an order asks: what its events told, the click that stands, and its widest window in
    seconds.
    """

    subject: Subject
    chosen: str | None
    window_s: int


class KnownMatch(msgspec.Struct, frozen=True):
    """The decision that stands for an order."""

    click_id: str | None
    decision: Literal["match", "review", "unmatched"]
    score: float
    rule: str


class MatchRow(msgspec.Struct, kw_only=True, frozen=True):
    """One row of `matches`; `explanation` is what a person reads."""

    conversion_id: int
    click_id: str | None
    decision: str
    score: float
    rule: str
    explanation: msgspec.Raw


class CapiRow(msgspec.Struct, kw_only=True, frozen=True):
    """One Meta event for one destination: a row of the outbox.

    `delivered` when its event came in this batch.
    """

    source_event: str
    conversion_id: int | None
    funnel: str
    destination: str
    event_name: str
    event_id: str
    event_time: int
    payload_json: msgspec.Raw
    consent_ads: bool | None
    received_at: datetime
    delivered: bool = True


class EventRow(msgspec.Struct, kw_only=True, frozen=True):
    """One row of `events`; `body` is the event as it came over the bus."""

    id: str
    received_at: datetime
    occurred_at: datetime
    funnel: str
    kind: str
    source: str
    event_id: str | None
    status: str | None
    gateway: str | None
    integration: str | None
    order_id: str | None
    click_id: str | None
    value: str | None
    currency: str | None
    email_hash: str | None
    consent_ads: bool | None
    conversion_id: int | None
    outcome: Outcome
    reason: str | None
    body: msgspec.Raw


class OpenEvent(msgspec.Struct, frozen=True):
    """A sale that may still be sent: it waits for a click, or was withheld for want of one."""

    conversion_id: int
    waiting: bool
    event: Event


class OutcomeRow(msgspec.Struct, kw_only=True, frozen=True):
    """What became of an event that was there already."""

    id: str
    received_at: datetime
    outcome: Outcome
    reason: str | None
    event_id: str | None


class LeftOver(msgspec.Struct, frozen=True):
    """Tenants with orders whose wait or second look is due, and whether rows of the outbox wait for
    too long.
    """

    due: list[str]
    unpublished: bool


class Outbox(msgspec.Struct, kw_only=True, frozen=True):
    """A row of `capi_events` that the bus does not know of yet.

    `marked`: it counts as published all the same.
    """

    id: int
    created_at: datetime
    tenant_id: str
    destination: str
    event_id: str
    generation: int
    marked: bool = False
    source_event: str = ""  # the event whose trace goes on in the message, where one is known


class DeadLetter(msgspec.Struct, kw_only=True, frozen=True):
    """A message given up by matching; `event` is None when it could not be read."""

    tenant: str
    body: str
    reason: str
    detail: str
    attempts: int
    event: EventHead | None = None


class EventHead(msgspec.Struct, kw_only=True, frozen=True):
    """The part of an event that is safe to store when the rest is not."""

    id: str
    received_at: datetime
    occurred_at: datetime
    funnel: str
    kind: str
    source: str


class ClickRow(msgspec.Struct, kw_only=True, frozen=True):
    """One visitor as `clicks` keeps it.

    `ts` is the first sight, `id` and `known_ts` name a row that is there.
    """

    click_id: str
    ts: datetime
    last_seen_at: datetime
    funnel: str
    session_id: str | None
    external_id: str | None
    fbclid: str | None
    fbc: str | None
    fbp: str | None
    utms: Utm
    ip: str | None
    ua: str | None
    url: str | None
    referrer: str | None
    user_data: UserData
    products: list[str]
    from_ad: bool
    consent_ads: bool | None
    id: int | None = None
    known_ts: datetime | None = None


class SessionRow(msgspec.Struct, kw_only=True, frozen=True):
    """A session and the click ids it was seen with."""

    session_id: str
    first_click_id: str
    last_click_id: str
    first_seen_at: datetime
    last_seen_at: datetime


class IdentityRow(msgspec.Struct, kw_only=True, frozen=True):
    """A hash seen with a click; exactly one of the two hashes is set."""

    click_id: str
    email_hash: str | None
    phone_hash: str | None
    first_seen_at: datetime
    last_seen_at: datetime


class OpenKey(msgspec.Struct, frozen=True):
    """Something by which a sale can be found again.

    One that was bought before `at` is not meant.
    """

    key: str
    at: datetime
