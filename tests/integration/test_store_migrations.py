"""A database is brought to this release exactly once, by whoever comes first, and never by
guesswork.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from sinal_core.postgres.errors import MigrationError, StoreUnavailable
from sinal_hub.store.migrate import Migration, load_migrations, migrate

REQUIRED = {
    "tenants",
    "funnels",
    "clicks",
    "sessions",
    "identities",
    "conversions",
    "matches",
    "capi_events",
    "dispatch_attempts",
    "dedupe_registry",
    "setup_sessions",
    "setup_messages",
    "setup_action_logs",
    "events",
    "dispatch_requests",
    "dead_letters",
    "schema_migrations",
}


def _names(migrations: list[Migration]) -> list[str]:
    return [f"{m.version:04d}_{m.name}" for m in migrations]


async def _column(url: str, query: bytes) -> list[object]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return [row[0] for row in await (await connection.execute(query)).fetchall()]


async def test_an_empty_database_gets_every_table(empty_postgres: str) -> None:
    assert await migrate(empty_postgres) == _names(load_migrations())
    tables = await _column(
        empty_postgres, b"select tablename from pg_tables where schemaname = 'public'"
    )
    assert set(tables) >= REQUIRED


async def test_a_second_run_does_nothing(empty_postgres: str) -> None:
    await migrate(empty_postgres)
    assert await migrate(empty_postgres) == []


@pytest.mark.parametrize("version", range(len(load_migrations()) + 1))
async def test_every_earlier_version_reaches_this_release(
    empty_postgres: str, version: int
) -> None:
    everything = load_migrations()
    await migrate(empty_postgres, migrations=everything[:version])
    assert await migrate(empty_postgres) == _names(everything[version:])


async def test_replicas_starting_together_apply_it_once(empty_postgres: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_postgres) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == _names(load_migrations())


async def test_a_changed_migration_is_refused_by_name(postgres: str) -> None:
    first, *rest = load_migrations()
    changed = [replace(first, sql=first.sql + "\n-- later thought"), *rest]
    with pytest.raises(MigrationError, match="0001_initial was changed"):
        await migrate(postgres, migrations=changed)


async def test_a_database_of_a_newer_release_is_refused(postgres: str) -> None:
    newer = Migration(len(load_migrations()) + 1, "from_the_future", "create table future (id int)")
    await migrate(postgres, migrations=[*load_migrations(), newer])
    with pytest.raises(MigrationError, match="from_the_future, which this release does not know"):
        await migrate(postgres)


async def test_a_failing_migration_leaves_nothing_behind(postgres: str) -> None:
    bad = Migration(len(load_migrations()) + 1, "bad", "create table half (id int); select 1/0")
    with pytest.raises(Exception, match="DivisionByZero"):
        await migrate(postgres, migrations=[*load_migrations(), bad])
    assert await _column(postgres, b"select 1 from pg_tables where tablename = 'half'") == []
    assert await migrate(postgres) == []


async def test_no_server_is_an_error_of_its_own(tmp_path: object) -> None:
    with pytest.raises(StoreUnavailable):
        await migrate(f"postgresql://postgres@/none?host={tmp_path}")


async def test_weeks_are_ready_before_and_after_now(empty_postgres: str) -> None:
    await migrate(empty_postgres, now=datetime(2025, 11, 26, 12, tzinfo=UTC))
    weeks = await _column(
        empty_postgres,
        b"select inhrelid::regclass::text from pg_inherits where inhparent = 'events'::regclass order by 1",
    )
    assert weeks == [
        "events_default",
        "events_p20251117",
        "events_p20251124",
        "events_p20251201",
        "events_p20251208",
        "events_p20251215",
    ]
