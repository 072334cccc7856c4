"""What became of events, for the operations API: one with its timeline, pages of many, and the
ledger's totals.

With a tenant every statement runs under that tenant's row-level security. Pages go from the newest
back; a cursor names the last event seen, so that new arrivals never shift a page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg.rows import DictRow

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_hub.model.evidence import Agreement, RunnerUp
from sinal_hub.store.evidence import ClickSeen, Note, Sent, left_out, sent

_SQL = queries.load("sinal_hub.store", "reading")
_CLOCKS = timedelta(days=1)  # between the clock that received an event and the database's

State = Literal["in_flight", "delivered", "withheld", "dead"]
Decision = Literal["match", "review", "unmatched"]


class InvalidCursor(ValueError):
    """The cursor is none that `list_events` gave."""


class MatchDetail(msgspec.Struct, kw_only=True, frozen=True):
    """Why a sale belongs to a click, or to none; from `signals` on only in the detail of one event.

    `visitors` used the sale's address around that time, `rivals` fit as well as the best. `click`
    and `runner_up_click` are null where their data is gone.
    """

    decision: Decision
    rule: str
    score: float
    click_id: str | None
    signals: list[Agreement] | msgspec.UnsetType = msgspec.UNSET
    runner_up: RunnerUp | msgspec.UnsetType | None = msgspec.UNSET
    visitors: int | msgspec.UnsetType = msgspec.UNSET
    rivals: int | msgspec.UnsetType = msgspec.UNSET
    click: ClickSeen | msgspec.UnsetType | None = msgspec.UNSET
    runner_up_click: ClickSeen | msgspec.UnsetType | None = msgspec.UNSET


class Attempt(msgspec.Struct, kw_only=True, frozen=True):
    """One try to deliver, with Meta's answer; null while it is under way.

    `events` were in its request. `left_out` names fields of `sent` that Meta had refused in the
    request before.
    """

    at: datetime
    number: int
    outcome: str | None
    events: int | None
    http_status: int | None
    code: int | None
    subcode: int | None
    latency_ms: int | None
    fbtrace_id: str | None
    answer: str | None
    left_out: list[str] = []


class Delivery(msgspec.Struct, kw_only=True, frozen=True):
    """One destination; from `attempts` on only in the detail of one event.

    `sent` names the fields of the event, never a value of `user_data`. `waiting` says why it was
    not sent yet and `next_at` when it is tried next; both are null where nothing waits, `next_at`
    also where that is any moment now.
    """

    destination: str
    state: Literal["pending", "sending", "delivered", "withheld", "dead"]
    attempts: list[Attempt] | msgspec.UnsetType = msgspec.UNSET
    sent: Sent | msgspec.UnsetType = msgspec.UNSET
    next_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    waiting: Note | msgspec.UnsetType | None = msgspec.UNSET


class OutcomeDetail(msgspec.Struct, kw_only=True, frozen=True):
    """How the event ended, and the stable word for why."""

    state: State
    reason: str | None


class EventDetail(msgspec.Struct, kw_only=True, frozen=True):
    """One event from its arrival to its deliveries.

    Only the detail says `why`: what its match lacked.
    """

    id: str
    event_id: str | None
    kind: str
    status: str | None
    tenant: str
    funnel: str
    gateway: str | None
    order_id: str | None
    value: str | None
    currency: str | None
    occurred_at: datetime
    received_at: datetime
    match: MatchDetail | None
    deliveries: list[Delivery]
    outcome: OutcomeDetail
    why: list[Note] | msgspec.UnsetType = msgspec.UNSET


class EventFilter(msgspec.Struct, kw_only=True, frozen=True):
    """Conditions of a list; they combine, None is not a condition. Times without a zone are UTC.

    With `destination`, `outcome` and `reason` are those of the delivery to it and not of the event
    as a whole.
    """

    tenant: str | None = None
    funnel: str | None = None
    kind: str | None = None
    status: str | None = None
    gateway: str | None = None
    order_id: str | None = None
    click_id: str | None = None
    outcome: State | None = None
    reason: str | None = None
    decision: Decision | None = None
    email_sha256: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    destination: str | None = None


class Page(msgspec.Struct, kw_only=True, frozen=True):
    """Events, newest first; `next_cursor` is null on the last page."""

    events: list[EventDetail]
    next_cursor: str | None


class Ledger(msgspec.Struct, kw_only=True, frozen=True):
    """How accepted events ended: accepted = delivered + withheld + dead + in_flight."""

    accepted: int
    delivered: int
    withheld: int
    dead: int
    in_flight: int


class EventReader:
    """Reads; every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ping(self) -> bool:
        """Whether PostgreSQL answers."""
        return await self._database.ping()

    async def get_event(self, tenant: str | None, event_id: str) -> EventDetail | None:
        """One event with its whole timeline, of one tenant or of any; None when there is none."""
        conditions = ["where_id"] + (["where_tenant"] if tenant is not None else [])
        values: dict[str, object] = {"id": event_id, "tenant": tenant, "limit": 1}
        async with self._database.transaction(tenant=tenant) as connection:
            found = await _events(connection, conditions, values)
            return (await _detailed(connection, found, whole=True))[0] if found else None

    async def get_events(self, tenant: str | None, ids: Sequence[str]) -> list[EventDetail]:
        """Those of these events that are the tenant's, or any's, without attempts and signals."""
        conditions = ["where_ids"] + (["where_tenant"] if tenant is not None else [])
        values: dict[str, Any] = {"ids": list(ids), "tenant": tenant, "limit": len(ids)}
        async with self._database.transaction(tenant=tenant) as connection:
            return await _detailed(
                connection, await _events(connection, conditions, values), whole=False
            )

    async def list_events(
        self, filters: EventFilter, *, cursor: str | None = None, limit: int = 50
    ) -> Page:
        """A page of at most `limit` events, without attempts and signals; raises InvalidCursor."""
        values: dict[str, Any] = {
            name: _zoned(value) for name, value in msgspec.structs.asdict(filters).items()
        }
        conditions = _conditions(values)
        if cursor is not None:
            values["before_at"], values["before_id"] = _read_cursor(cursor)
            conditions.append("where_before")
        values["limit"] = limit + 1
        async with self._database.transaction(tenant=filters.tenant) as connection:
            found = await _events(connection, conditions or ["where_any"], values)
            events = await _detailed(connection, found[:limit], whole=False)
        more = len(found) > limit
        return Page(events=events, next_cursor=_cursor(events[-1]) if more and events else None)

    async def ledger(self, tenant: str | None = None) -> Ledger:
        """Totals of one tenant, or of all."""
        async with self._database.transaction(tenant=tenant) as connection:
            row = await (await connection.execute(_SQL["ledger"], {"tenant": tenant})).fetchone()
        return Ledger(**(row or {}))


def _conditions(values: Mapping[str, object]) -> list[str]:
    """Names of the fragments for what was given."""
    given = [name for name, value in values.items() if value is not None]
    if "destination" in given:
        given = [name for name in given if name not in ("destination", "outcome", "reason")] + [
            "delivery"
        ]
    return [f"where_{name}" for name in given]


async def _events(
    connection: Connection, conditions: list[str], values: dict[str, Any]
) -> list[DictRow]:
    """Statements are put together from fragments of our own; what a caller said is a parameter."""
    where = b" and ".join(_SQL[name] for name in conditions)
    query = b" ".join((_SQL["events"], where, _SQL["newest_first"]))
    return await (await connection.execute(query, values)).fetchall()


async def _detailed(
    connection: Connection, found: Sequence[DictRow], *, whole: bool
) -> list[EventDetail]:
    if not found:
        return []
    scope = {
        "ids": [row["id"] for row in found],
        "tenants": sorted({row["tenant_id"] for row in found}),
        "since": min(row["received_at"] for row in found) - _CLOCKS,
    }
    deliveries = await (await connection.execute(_SQL["deliveries"], scope)).fetchall()
    known = await _timelines(connection, deliveries, scope["since"]) if whole and deliveries else {}
    by_event: dict[str, list[Delivery]] = {}
    for row in deliveries:
        delivery = Delivery(
            destination=row["destination"], state=row["state"], **known.get(row["id"], {})
        )
        by_event.setdefault(row["source_event"], []).append(delivery)
    return [_event(row, by_event.get(row["id"], []), whole=whole) for row in found]


async def _timelines(
    connection: Connection, deliveries: list[DictRow], since: datetime
) -> dict[int, dict[str, Any]]:
    """By delivery what only the detail shows."""
    scope = {"ids": [row["id"] for row in deliveries], "since": since}
    attempts: dict[int, list[Attempt]] = {row["id"]: [] for row in deliveries}
    for row in await (await connection.execute(_SQL["attempts"], scope)).fetchall():
        tries = attempts[row.pop("capi_event_id")]
        # Of the same claim only: a later claim begins again with the event as it is stored.
        before = [one.subcode for one in tries if one.number == row["number"]]
        tries.append(Attempt(**row, left_out=left_out(before)))
    return {
        row["id"]: {
            "attempts": attempts[row["id"]],
            "sent": sent(row["payload_json"]),
            "next_at": row["next_at"],
        }
        for row in await (await connection.execute(_SQL["payloads"], scope)).fetchall()
    }


def _event(row: DictRow, deliveries: list[Delivery], *, whole: bool) -> EventDetail:
    values = dict(row)
    outcome = OutcomeDetail(state=values.pop("state"), reason=values.pop("reason"))
    explanation, tenant = values.pop("explanation"), values.pop("tenant_id")
    match = None if explanation is None else msgspec.json.decode(explanation, type=MatchDetail)
    if match is not None and not whole:
        gone = ("signals", "runner_up", "visitors", "rivals")
        match = msgspec.structs.replace(match, **dict.fromkeys(gone, msgspec.UNSET))
    return EventDetail(**values, tenant=tenant, match=match, deliveries=deliveries, outcome=outcome)


def _zoned(value: Any) -> Any:
    return (
        value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
    )


def _cursor(event: EventDetail) -> str:
    return urlsafe_b64encode(f"{event.received_at.isoformat()} {event.id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        at, _, event_id = urlsafe_b64decode(cursor.encode()).decode().rpartition(" ")
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise InvalidCursor("cursor: not one that this list gave") from None
    # PostgreSQL refuses a NUL in text: the caller's fault would look like one of the store.
    if moment.tzinfo is None or not event_id or "\x00" in event_id:
        raise InvalidCursor("cursor: not one that this list gave")
    return moment, event_id
