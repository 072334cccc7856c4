"""Weekly partitions of the tables that grow with traffic: made ahead, dropped behind retention.

A week starts on Monday 00:00 UTC and names its partition: `events_p20251124`. Rows outside every
week land in the DEFAULT partition; when their week is made, they move into it. Retention drops a
week once all of it is older than the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from sinal_core.postgres.database import Database
from sinal_hub.store.retention import purge

_WEEK = timedelta(days=7)
_BEHIND = timedelta(days=8)  # the oldest event Meta takes, and a day of clock error
_AHEAD = timedelta(days=21)
_LOCK = 0x53_49_4E_50  # "SINP": housekeepers and a migration must not make the same week
_RETENTION_DAYS = 90
# Partitions hold all tenants: they live as long as the tenant that keeps its data longest.
_LONGEST_RETENTION = b"""
select coalesce(max((plan ->> 'retention_days')::int), 90) as days from tenants where status <> 'deleted'
"""
_NAME = re.compile(r"_p(\d{8})$")


@dataclass(frozen=True)
class Partitioned:
    """A partitioned table and the column that its weeks are cut by."""

    table: str
    column: str
    storage: str = ""  # parameters of each partition, as SQL; migration 0004 says why


PARTITIONED = (
    Partitioned("events", "received_at"),
    Partitioned("clicks", "ts", "fillfactor = 70"),
    Partitioned("capi_events", "created_at", "fillfactor = 50, toast_tuple_target = 512"),
    Partitioned("dispatch_requests", "created_at"),
    Partitioned("dispatch_attempts", "created_at", "fillfactor = 50"),
)


async def maintain(
    database: Database, *, now: datetime | None = None
) -> tuple[list[str], list[str]]:
    """Make the weeks ahead, drop those that no tenant keeps any more, purge the rest.

    Returns the names of both.
    """
    moment = now or datetime.now(UTC)
    async with database.transaction() as connection:
        made = await ensure_partitions(connection, now=moment)
        row = await (await connection.execute(_LONGEST_RETENTION)).fetchone()
        days = int(row["days"]) if row else _RETENTION_DAYS
        dropped = await drop_partitions(connection, older_than=moment - timedelta(days=days))
    await purge(database, now=moment)
    return made, dropped


async def ensure_partitions(
    connection: AsyncConnection[Any],
    *,
    now: datetime,
    behind: timedelta = _BEHIND,
    ahead: timedelta = _AHEAD,
) -> list[str]:
    """Make the weeks from `now - behind` to `now + ahead` that are missing; returns their names."""
    made: list[str] = []
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        for parent in PARTITIONED:
            # Read under the lock: whoever had it before may have made these weeks.
            existing = set(await _partitions(connection, parent))
            for start in _weeks(now - behind, now + ahead):
                name = f"{parent.table}_p{start:%Y%m%d}"
                if name not in existing:
                    await _make(connection, parent, name, start)
                    made.append(name)
    return made


async def drop_partitions(
    connection: AsyncConnection[Any], *, older_than: datetime, tables: tuple[str, ...] | None = None
) -> list[str]:
    """Drop every week that ended before `older_than` (of `tables`, default all).

    Returns their names.
    """
    dropped: list[str] = []
    for parent in PARTITIONED:
        if tables is not None and parent.table not in tables:
            continue
        for name in await _partitions(connection, parent):
            if _end(name) <= older_than:
                await connection.execute(sql.SQL("drop table {}").format(sql.Identifier(name)))
                dropped.append(name)
        await connection.execute(
            sql.SQL("delete from {} where {} < %s").format(
                sql.Identifier(f"{parent.table}_default"), sql.Identifier(parent.column)
            ),
            (older_than,),
        )
    return dropped


def _weeks(first: datetime, last: datetime) -> Iterator[date]:
    day = first.astimezone(UTC).date()
    start = day - timedelta(days=day.weekday())
    while start <= last.astimezone(UTC).date():
        yield start
        start += _WEEK


def _end(name: str) -> datetime:
    matched = _NAME.search(name)
    assert matched is not None  # noqa: S101 - _partitions returns such names only
    return datetime.strptime(matched[1], "%Y%m%d").replace(tzinfo=UTC) + _WEEK


async def _partitions(connection: AsyncConnection[Any], parent: Partitioned) -> list[str]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass order "
            "by 1",
            (parent.table,),
        )
        return [name for (name,) in await cursor.fetchall() if _NAME.search(name)]


async def _make(
    connection: AsyncConnection[Any], parent: Partitioned, name: str, start: date
) -> None:
    """Fill the new table from DEFAULT before it is attached: PostgreSQL refuses a week whose rows
    lie in DEFAULT.
    """
    names = {
        "child": sql.Identifier(name),
        "parent": sql.Identifier(parent.table),
        "default": sql.Identifier(f"{parent.table}_default"),
        "column": sql.Identifier(parent.column),
        "start": sql.Literal(datetime(start.year, start.month, start.day, tzinfo=UTC)),
        "with": sql.SQL(f"with ({parent.storage})" if parent.storage else ""),
        "end": sql.Literal(datetime(start.year, start.month, start.day, tzinfo=UTC) + _WEEK),
    }
    async with connection.transaction():
        # DEFAULT is locked before its rows move: one that landed there in between would make ATTACH
        # fail. Indexes are not copied, because ATTACH adds those of the parent.
        for statement in (
            "lock table {parent} in share update exclusive mode",
            "create table {child} (like {parent} including defaults including constraints "
            "including storage) {with}",
            "lock table {default} in access exclusive mode",
            "with moved as (delete from {default} where {column} >= {start} and {column} < {end} "
            "returning *) "
            "insert into {child} select * from moved",
            "alter table {parent} attach partition {child} for values from ({start}) to ({end})",
        ):
            await connection.execute(sql.SQL(statement).format(**names))
