"""What the platform says afterwards: the ledger's rows, and what is at Meta."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import aiohttp
import psycopg
from psycopg.rows import dict_row

from tests.support.chaos.stage import Stage
from tests.support.chaos.world import PIXELS

_EVENTS = "select id, outcome, reason, repeats from events where id = any(%s)"
_DELIVERIES = """
select source_event, destination, status, reason, in_doubt, attempts, published_at, lease_until, next_attempt_at
from capi_events where source_event = any(%s)"""
_OPEN = """
select (select count(*) from events where id = any(%(ids)s)) as recorded,
    (select count(*) from capi_events where status in ('pending', 'sending')) as flying,
    (select count(*) from conversions where recheck_at is not null) as rechecks"""


@dataclass(frozen=True)
class Records:
    """Rows by event, and at each pixel how often each (name, id) arrived and which ids each order's
    purchase has.
    """

    events: dict[str, list[dict[str, Any]]]
    deliveries: dict[str, dict[str, dict[str, Any]]]  # event -> destination -> row
    arrived: dict[str, Counter[tuple[str, str]]]
    purchases: dict[str, dict[str, set[str]]]  # pixel -> order -> ids


async def unsettled(stage: Stage, ids: Collection[str]) -> str | None:
    """What still has to happen, for people; None when everything came to its end.

    Raises psycopg.OperationalError.
    """
    async with await psycopg.AsyncConnection.connect(
        stage.postgres.url(), row_factory=dict_row
    ) as connection:
        row = await (await connection.execute(_OPEN, {"ids": list(ids)})).fetchone()
    assert row is not None
    row["missing"] = len(ids) - row.pop("recorded")
    return None if not any(row.values()) else str(row)


async def read(stage: Stage, session: aiohttp.ClientSession, ids: Collection[str]) -> Records:
    """Everything about these events, and all that is at Meta."""
    events: dict[str, list[dict[str, Any]]] = {}
    deliveries: dict[str, dict[str, dict[str, Any]]] = {}
    async with await psycopg.AsyncConnection.connect(
        stage.postgres.url(), row_factory=dict_row
    ) as connection:
        async for row in await connection.execute(_EVENTS, [list(ids)]):
            events.setdefault(row["id"], []).append(row)
        async for row in await connection.execute(_DELIVERIES, [list(ids)]):
            deliveries.setdefault(row["source_event"], {})[row["destination"]] = row
    arrived: dict[str, Counter[tuple[str, str]]] = {}
    purchases: dict[str, dict[str, set[str]]] = {}
    for pixel in PIXELS:
        arrived[pixel.name], purchases[pixel.name] = Counter(), {}
        params = {"pixel": pixel.number, "limit": "100000"}
        async with session.get(f"{stage.sandbox_url}/_sandbox/events", params=params) as answer:
            received = [entry["event"] for entry in (await answer.json())["events"]]
        for event in received:
            arrived[pixel.name][event["event_name"], event["event_id"]] += 1
            if event["event_name"] == "Purchase":
                purchases[pixel.name].setdefault(event["custom_data"]["order_id"], set()).add(
                    event["event_id"]
                )
    return Records(events, deliveries, arrived, purchases)
