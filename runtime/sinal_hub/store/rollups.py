"""Rollups: counts by hour and day that outlive the events they were made of, and hold no person.

An hour is computed again as a whole whenever something in it changed, so that a run may be repeated
or overlap another and nothing is counted twice. Days are sums of hours, cut where the tenant's own
day begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database

_SQL = queries.load("sinal_hub.store", "rollups")
# The first run has no `since`: two weeks of all tenants may take longer than the 30 s of a
# connection.
_TIMEOUT = "set local statement_timeout = '300s'"
_EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)  # a transaction shows up after the time it writes down
CHUNK = 500  # hours of one transaction


class Hour(msgspec.Struct, frozen=True):
    """One hour of one tenant, whose days are those of `zone`."""

    tenant: str
    bucket: datetime
    zone: str


class _Kind(NamedTuple):
    changed: str
    statements: tuple[str, ...]


_KINDS = (
    _Kind("changed_hours", ("delete_hours", "insert_hours", "delete_days", "insert_days")),
    _Kind(
        "changed_order_hours",
        ("delete_order_hours", "insert_order_hours", "delete_order_days", "insert_order_days"),
    ),
)


async def roll_up(database: Database, *, since: datetime | None, zones: Mapping[str, str]) -> int:
    """Bring the rollups up to date with what changed `since` (None: everything).

    Returns hours computed.

    `zones` names each tenant's time zone. Raises StoreUnavailable.
    """
    start = since - OVERLAP if since is not None else _EVERYTHING
    done = 0
    for kind in _KINDS:
        async with database.transaction() as connection:
            await connection.execute(_TIMEOUT)
            found = await (
                await connection.execute(_SQL[kind.changed], {"since": start})
            ).fetchall()
        hours = [Hour(**row, zone=zones.get(row["tenant"], "UTC")) for row in found]
        for at in range(0, len(hours), CHUNK):
            async with database.transaction() as connection:
                await _compute(connection, kind, hours[at : at + CHUNK])
        done += len(hours)
    return done


async def _compute(connection: Connection, kind: _Kind, hours: Sequence[Hour]) -> None:
    await connection.execute(_TIMEOUT)
    values = {"hours": msgspec.json.encode(hours).decode()}
    for statement in kind.statements:
        await connection.execute(_SQL[statement], values)
