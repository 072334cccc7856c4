"""A tenant's reader sees that tenant's rows, whatever it asks.

Without a tenant the API's role sees nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import AsyncConnection, errors, sql
from psycopg.rows import TupleRow

from sinal_core.postgres.database import Database
from sinal_hub.store.migrate import migrate

TABLES = (
    "tenants",
    "funnels",
    "events",
    "clicks",
    "sessions",
    "identities",
    "conversions",
    "open_orders",
    "order_names",
    "matches",
    "capi_events",
    "dispatch_requests",
    "dispatch_attempts",
    "dedupe_registry",
    "dead_letters",
    "setup_sessions",
    "setup_messages",
    "setup_action_logs",
)
SEED = b"""
insert into tenants (id, name) values ('loja', 'Loja'), ('outra', 'Outra');
insert into funnels (tenant_id, name, type) select id, 'f', 't' from tenants;
insert into events (id, received_at, occurred_at, tenant_id, funnel, kind, source, outcome, body)
    select 'ev_' || id, now(), now(), id, 'f', 'lead', 'browser', 'withheld', '{}' from tenants;
insert into clicks (ts, tenant_id, funnel, click_id, last_seen_at) select now(), id, 'f', 'c', now() from tenants;
insert into sessions (tenant_id, session_id, first_seen_at, last_seen_at) select id, 's', now(), now() from tenants;
insert into identities (tenant_id, email_hash, click_id, first_seen_at, last_seen_at)
    select id, 'e', 'c', now(), now() from tenants;
insert into conversions (tenant_id, gateway, order_key, funnel, ts, last_at)
    select id, 'g', 'o', 'f', now(), now() from tenants;
insert into open_orders (tenant_id, key, conversion_id, last_at) select tenant_id, 'k', id, now() from conversions;
insert into order_names (tenant_id, kind, name, gateway, order_key) select id, 'alias', 'n', 'g', 'o' from tenants;
insert into matches (tenant_id, conversion_id, decision, confidence_score, rule_applied, explanation)
    select tenant_id, id, 'unmatched', 0, 'none', '{}' from conversions;
insert into capi_events (tenant_id, source_event, funnel, destination, event_name, event_id, event_time, payload_json,
    received_at) select id, 'e', 'f', 'd', 'n', 'i', 0, '{}', now() from tenants;
insert into dispatch_requests (tenant_id, destination, events) select id, 'd', 1 from tenants;
insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no)
    select id, 1, now(), 1 from tenants;
insert into dedupe_registry (tenant_id, event_id, source, owner) select id, 'k', 'event', 'e' from tenants;
insert into dead_letters (tenant_id, stage, reason) select id, 'match', 'r' from tenants;
insert into setup_sessions (tenant_id, state) select id, 's' from tenants;
insert into setup_messages (tenant_id, setup_session_id, role, content)
    select tenant_id, id, 'r', 'c' from setup_sessions;
insert into setup_action_logs (tenant_id, setup_session_id, tool_name, input_json, status)
    select tenant_id, id, 't', '{}', 's' from setup_sessions;
"""


@pytest.fixture
async def api(postgres: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """A connection as the API's role, over a database with two tenants' rows in every table."""
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as connection:
        await connection.execute(SEED)
        await connection.execute("set role sinal_api")
        yield connection


async def _tenants(connection: AsyncConnection[TupleRow], table: str) -> set[str]:
    column = "id" if table == "tenants" else "tenant_id"
    query = sql.SQL("select {} from {}").format(sql.Identifier(column), sql.Identifier(table))
    return {tenant for (tenant,) in await (await connection.execute(query)).fetchall()}


async def test_every_table_shows_one_tenant_only(api: AsyncConnection[TupleRow]) -> None:
    for setting, seen in (
        ("never set", set()),
        ("loja", {"loja"}),
        ("outra", {"outra"}),
        ("", set()),
    ):
        if setting != "never set":
            await api.execute("select set_config('sinal.tenant', %s, false)", (setting,))
        assert {table: await _tenants(api, table) for table in TABLES} == dict.fromkeys(
            TABLES, seen
        )


async def test_no_table_with_a_tenant_is_without_policy(api: AsyncConnection[TupleRow]) -> None:
    found = await api.execute(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname "
        "= 'tenant_id' "
        "where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = "
        "'public'::regnamespace "
        "and not (c.relrowsecurity and c.relforcerowsecurity)"
    )
    assert await found.fetchall() == []


@pytest.mark.parametrize(
    "attack",
    [
        "select * from events_default",
        "select * from schema_migrations",
        "select * from claims",
        "delete from events",
        "update capi_events set status = 'delivered'",
        "insert into events (id) values ('x')",
        "truncate matches",
        "drop policy tenant on events",
        "alter table events disable row level security",
        "create table mine (id int)",
        "set role sinal_worker; select 1/0",
        "update dead_letters set reason = 'x'",
        "insert into dead_letters (tenant_id, stage, reason) values ('loja', 'match', 'r')",
        # whether an order of another tenant is there, told by a key that does not know tenants
        "insert into matches (tenant_id, conversion_id, decision, confidence_score, rule_applied, "
        "explanation) "
        "values ('loja', 2, 'match', 0, 'r', '{}')",
        "update matches set conversion_id = 2",
    ],
)
async def test_the_api_role_may_not(api: AsyncConnection[TupleRow], attack: str) -> None:
    await api.execute("select set_config('sinal.tenant', 'loja', false)")
    # As a login of its own: `set role` asks the login's rights, and this login is the superuser.
    await api.execute(
        "reset role; create role intruder in role sinal_api; set session authorization intruder"
    )
    try:
        with pytest.raises(errors.InsufficientPrivilege):
            await api.execute(attack.encode())
    finally:
        await api.execute("reset session authorization; drop role intruder")


async def test_the_api_role_writes_into_no_table(api: AsyncConnection[TupleRow]) -> None:
    """So that no key that is unique over all tenants tells of a row that it may not see."""
    found = await api.execute(
        "select c.relname, p.privilege from pg_class c, unnest(array['insert', 'update', 'delete', "
        "'truncate']) "
        "as p (privilege) where c.relkind in ('r', 'p', 'v') and c.relnamespace = "
        "'public'::regnamespace "
        "and has_table_privilege('sinal_api', c.oid, p.privilege)"
    )
    assert await found.fetchall() == []


async def test_a_transaction_with_a_tenant_is_bound_to_it_and_leaves_nothing_behind(
    postgres: str,
) -> None:
    async with await Database.open(postgres, max_size=1) as database:
        async with database.transaction() as connection:
            await connection.execute(SEED)
        async with database.transaction(tenant="loja") as connection:
            rows = await (
                await connection.execute("select tenant_id, current_user as who from events")
            ).fetchall()
            assert rows == [{"tenant_id": "loja", "who": "sinal_api"}]
        async with database.transaction() as connection:
            rows = await (await connection.execute("select tenant_id from events")).fetchall()
            assert {row["tenant_id"] for row in rows} == {"loja", "outra"}


async def test_the_worker_role_works_on_every_tenant(postgres: str) -> None:
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as connection:
        await connection.execute(SEED)
        await connection.execute("set role sinal_worker")
        for table in TABLES:
            assert await _tenants(connection, table) == {"loja", "outra"}
        assert await _tenants(connection, "claims") == {"loja", "outra"}
        await connection.execute("update claims set owner = 'e2'")
        await connection.execute("update events set repeats = 1")


async def test_an_owner_that_is_no_superuser_migrates_and_works(empty_postgres: str) -> None:
    name = empty_postgres.split("/")[3].split("?", maxsplit=1)[0]
    async with await psycopg.AsyncConnection.connect(empty_postgres, autocommit=True) as connection:
        await connection.execute("drop role if exists humble")
        await connection.execute("create role humble login")
        await connection.execute(
            sql.SQL("alter database {} owner to humble").format(sql.Identifier(name))
        )
        await connection.execute("alter schema public owner to humble")
    humble = empty_postgres.replace("postgres@", "humble@")
    try:
        assert await migrate(humble)
        async with (
            await Database.open(humble, max_size=1) as database,
            database.transaction() as mine,
        ):
            await mine.execute(SEED)
            rows = await (await mine.execute("select distinct tenant_id from events")).fetchall()
            assert len(rows) == 2
    finally:
        async with await psycopg.AsyncConnection.connect(
            empty_postgres, autocommit=True
        ) as connection:
            await connection.execute(
                "reassign owned by humble to postgres; drop owned by humble; drop role humble"
            )
