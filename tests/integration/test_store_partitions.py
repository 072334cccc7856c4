"""Weeks are made ahead and dropped behind.

A row outside every week is kept and finds its week later.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sinal_core.postgres.database import Connection, Database
from sinal_hub.store.partitions import drop_partitions, ensure_partitions, maintain

# a Wednesday far from the weeks that the template database has
NOW = datetime(2031, 3, 5, 12, tzinfo=UTC)
LETTER = b"""
insert into events (id, received_at, occurred_at, tenant_id, funnel, kind, source, outcome, body)
values (%s, %s, %s, 'loja', 'f', 'lead', 'browser', 'withheld', '{}') returning tableoid::regclass::text as place
"""


async def _store(connection: Connection, name: str, at: datetime) -> str:
    row = await (await connection.execute(LETTER, (name, at, at))).fetchone()
    assert row is not None
    return str(row["place"])


async def _places(connection: Connection) -> dict[str, str]:
    rows = await (
        await connection.execute("select id, tableoid::regclass::text as place from events")
    ).fetchall()
    return {row["id"]: row["place"] for row in rows}


@pytest.mark.parametrize(
    ("at", "week"),
    [
        (datetime(2031, 3, 3, tzinfo=UTC), "events_p20310303"),
        (datetime(2031, 3, 2, 23, 59, 59, 999999, tzinfo=UTC), "events_p20310224"),
        (NOW + timedelta(days=20), "events_p20310324"),
        (NOW - timedelta(days=400), "events_default"),
    ],
)
async def test_a_row_goes_to_its_week_or_to_the_default(
    postgres: str, at: datetime, week: str
) -> None:
    async with await Database.open(postgres) as database, database.transaction() as connection:
        await ensure_partitions(connection, now=NOW)
        assert await _store(connection, "a", at) == week


async def test_rows_in_the_default_move_when_their_week_is_made(postgres: str) -> None:
    async with await Database.open(postgres) as database:
        async with database.transaction() as connection:
            assert await _store(connection, "early", NOW) == "events_default"
            await connection.execute(
                "insert into capi_events (created_at, tenant_id, source_event, funnel, "
                "destination, event_name, "
                "event_id, event_time, payload_json, received_at) "
                "values (%s, 'loja', 'e', 'f', 'd', 'n', 'i', 0, '{}', %s)",
                (NOW, NOW),
            )
        async with database.transaction() as connection:
            await ensure_partitions(connection, now=NOW)
            assert await _places(connection) == {"early": "events_p20310303"}
            assert await _store(connection, "late", NOW) == "events_p20310303"


async def test_only_weeks_that_are_wholly_past_are_dropped(postgres: str) -> None:
    async with await Database.open(postgres) as database, database.transaction() as connection:
        await ensure_partitions(connection, now=NOW)
        await _store(connection, "old", datetime(2031, 2, 27, tzinfo=UTC))
        await _store(connection, "kept", datetime(2031, 3, 4, tzinfo=UTC))
        await _store(connection, "ancient", datetime(2020, 1, 1, tzinfo=UTC))
        dropped = await drop_partitions(connection, older_than=datetime(2031, 3, 4, tzinfo=UTC))
        assert "events_p20310224" in dropped
        assert "events_p20310303" not in dropped
        assert set(await _places(connection)) == {"kept"}


async def test_housekeeping_keeps_what_the_most_patient_tenant_keeps(postgres: str) -> None:
    async with await Database.open(postgres) as database:
        async with database.transaction() as connection:
            await connection.execute(
                "insert into tenants (id, name, plan) values "
                """('a', 'A', '{"retention_days": 30}'), ('b', 'B', '{"retention_days": 120}')"""
            )
            await ensure_partitions(connection, now=NOW - timedelta(days=110))
            await _store(connection, "wanted", NOW - timedelta(days=110))
            await _store(connection, "unwanted", NOW - timedelta(days=140))
        made, dropped = await maintain(database, now=NOW)
        assert "events_p20310303" in made
        assert "events_p20310303" not in dropped
        async with database.transaction() as connection:
            assert set(await _places(connection)) == {"wanted"}


async def test_two_housekeepers_at_once_make_each_week_once(postgres: str) -> None:
    async with await Database.open(postgres, max_size=3) as database:
        results = await asyncio.gather(*(maintain(database, now=NOW) for _ in range(3)))
        made = [name for names, _ in results for name in names]
        assert len(made) == len(set(made)) > 0
