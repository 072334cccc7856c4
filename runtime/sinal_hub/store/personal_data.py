"""Everything kept of a person in the tables: found, shown, or taken away.

Finding reads whole tables of the tenant, because hashes lie inside of JSON as well; it holds no
lock. Taking away is one transaction: all of it happens, with its place in the audit log, or nothing
does. What counts (that an event was accepted, that a delivery was made, that an order was worth so
much) stays without the person; that an order's Purchase was sent stays as a hash, so that being
forgotten can't cause a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_hub.model.events import Forget

_SQL = queries.load("sinal_hub.store", "personal_data")
# Whole tables are read, for which the 30 s of a connection are too little.
_TIMEOUT = "set local statement_timeout = '600s'"


class EventAt(msgspec.Struct, frozen=True):
    """A row of events."""

    id: str
    received_at: datetime


class ClickAt(msgspec.Struct, frozen=True):
    """A row of clicks.

    `id` is None for a click id that is named elsewhere and has no row any more.
    """

    id: int | None
    ts: datetime | None
    click_id: str
    session_id: str | None
    external_id: str | None


class DeliveryAt(msgspec.Struct, frozen=True):
    """A row of the outbox."""

    id: int
    created_at: datetime
    claim: str


class OrderAt(msgspec.Struct, frozen=True):
    """A row of conversions."""

    id: int
    gateway: str
    order_id: str | None


class PersonalData(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody's data lies."""

    wanted: Forget
    orders: list[OrderAt] = []
    clicks: list[ClickAt] = []
    events: list[EventAt] = []
    deliveries: list[DeliveryAt] = []
    letters: list[int] = []

    @property
    def sessions(self) -> list[str]:
        """Session ids of the browsers."""
        return sorted({click.session_id for click in self.clicks if click.session_id})

    @property
    def values(self) -> dict[str, Any]:
        """What every statement takes."""
        wanted = self.wanted
        return {
            "tenant": wanted.tenant,
            "emails": wanted.emails,
            "phones": wanted.phones,
            "orders": wanted.orders,
            "patterns": [f"%{digest}%" for digest in (*wanted.emails, *wanted.phones)],
            "order_patterns": [_order_pattern(order) for order in wanted.orders],
            "conversions": [order.id for order in self.orders],
            "clicks": sorted({click.click_id for click in self.clicks}),
            "sessions": self.sessions,
            "events": [event.id for event in self.events],
            "delivery_ids": [delivery.id for delivery in self.deliveries],
            "letters": self.letters,
            "claims": [
                *(
                    f"Purchase:{order.gateway}:{order.order_id}"
                    for order in self.orders
                    if order.order_id
                ),
                *{delivery.claim for delivery in self.deliveries},
            ],
        }


# Statement -> the rows that it takes as JSON, if any. What is being worked on comes first, what
# finds the rest last.
_ERASE: dict[str, str] = {
    "erase_requests": "deliveries",
    "erase_deliveries": "deliveries",
    "erase_letters": "",
    "erase_order_names": "",  # while the facts still say whose subscription it is
    "erase_events": "events",
    "erase_matches": "",
    "erase_matched_clicks": "",
    "erase_open_orders": "",
    "erase_clicks": "clicks",
    "erase_sessions": "",
    "erase_identities": "",
    "hash_claims": "",
    "drop_claims": "",
    "erase_orders": "",
}
_SHOW: dict[str, tuple[str, str]] = {
    "events": ("show_events", "events"),
    "clicks": ("show_clicks", "clicks"),
    "sessions": ("show_sessions", ""),
    "identities": ("show_identities", ""),
    "conversions": ("show_orders", ""),
    "matches": ("show_matches", ""),
    "open_orders": ("show_open_orders", ""),
    "order_names": ("show_order_names", ""),
    "capi_events": ("show_deliveries", "deliveries"),
    "dispatch_attempts": ("show_attempts", "deliveries"),
    "dead_letters": ("show_letters", ""),
}
_COUNTED: dict[str, str] = {
    "erase_deliveries": "capi_events",
    "erase_requests": "dispatch_attempts",
    "erase_letters": "dead_letters",
    "erase_events": "events",
    "erase_matches": "matches",
    "erase_open_orders": "open_orders",
    "erase_order_names": "order_names",
    "erase_clicks": "clicks",
    "erase_sessions": "sessions",
    "erase_identities": "identities",
    "erase_orders": "conversions",
}


async def find(connection: Connection, wanted: Forget) -> PersonalData:
    """Where this person's data lies now."""
    found = PersonalData(wanted=wanted)
    # Each look uses what the ones before it found: orders lead to browsers, both to events, and
    # these to deliveries.
    for name, kind in (
        ("orders", OrderAt),
        ("clicks", ClickAt),
        ("events", EventAt),
        ("deliveries", DeliveryAt),
    ):
        rows = await (await connection.execute(_SQL[name], found.values)).fetchall()
        found = msgspec.structs.replace(found, **{name: [kind(**row) for row in rows]})
    letters = await (await connection.execute(_SQL["letters"], found.values)).fetchall()
    return msgspec.structs.replace(found, letters=[row["id"] for row in letters])


async def look(database: Database, wanted: Forget) -> PersonalData:
    """The same, by itself; raises StoreUnavailable."""
    async with database.transaction() as connection:
        await connection.execute(_TIMEOUT)
        return await find(connection, wanted)


async def show(database: Database, wanted: Forget) -> dict[str, list[Any]]:
    """Every row of this person by table; raises StoreUnavailable."""
    async with database.transaction() as connection:
        await connection.execute(_TIMEOUT)
        found = await find(connection, wanted)
        shown: dict[str, list[Any]] = {}
        for table, (statement, rows) in _SHOW.items():
            cursor = await connection.execute(_SQL[statement], _with_rows(found, rows))
            shown[table] = [row["row"] for row in await cursor.fetchall()]
    return shown


async def erase(connection: Connection, wanted: Forget) -> dict[str, int]:
    """Take this person out of every table; returns rows touched by table.

    No batch of matching runs beside it.
    """
    await connection.execute(_TIMEOUT)
    found = await find(connection, wanted)
    # The lock comes after the long look, so that matching stands still for the short part only.
    # What came in meanwhile of this person has met the marks.
    await connection.execute(_SQL["shut_out"], {"tenant": wanted.tenant})
    touched: dict[str, int] = {}
    for statement, rows in _ERASE.items():
        touched[statement] = (
            await connection.execute(_SQL[statement], _with_rows(found, rows))
        ).rowcount
    return {
        table: touched[statement]
        for statement, table in sorted(_COUNTED.items(), key=lambda pair: pair[1])
    }


def _with_rows(found: PersonalData, rows: str) -> Mapping[str, Any]:
    if not rows:
        return found.values
    lists: dict[str, Sequence[object]] = {
        "events": found.events,
        "deliveries": found.deliveries,
        # A click id without a row is known from elsewhere: it finds other rows and has none to go.
        "clicks": [click for click in found.clicks if click.id is not None],
    }
    return found.values | {"rows": msgspec.json.encode(lists[rows]).decode()}


def _order_pattern(order: str) -> str:
    """A LIKE pattern for an order's id inside of an event's JSON."""
    quoted = (
        msgspec.json.encode(order)
        .decode()
        .replace("\\", "\\\\")
        .replace("%", "\\%")
        .replace("_", "\\_")
    )
    return f'%order_id":{quoted}%'
