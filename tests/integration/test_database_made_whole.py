"""Tables and logins are made again where a database came back without them, and nothing else is
ever touched.
"""

from __future__ import annotations

import psycopg

from sinal_core.postgres.database import Database
from sinal_hub.store.logins import as_api
from sinal_hub.store.migrate import load_migrations, migrate
from sinal_hub.store.rebuild import birth, make_whole

LATER = (
    "insert into schema_migrations (version, name, checksum) values (9999, "
    "'of_a_later_release', '')"
)


def _run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


async def test_an_empty_database_gets_tables_and_logins_once(empty_postgres: str) -> None:
    login = as_api(empty_postgres, "of the API")
    assert await make_whole(empty_postgres, [empty_postgres, login])
    async with await psycopg.AsyncConnection.connect(login):
        pass
    assert not await make_whole(empty_postgres, [empty_postgres, login])


async def test_a_login_that_was_lost_comes_back(empty_postgres: str) -> None:
    login = as_api(empty_postgres, "of the API")
    await make_whole(empty_postgres, [login])
    _run(empty_postgres, "alter role sinal_api nologin")
    assert await make_whole(empty_postgres, [login])
    async with await psycopg.AsyncConnection.connect(login):
        pass


async def test_an_older_database_is_brought_on_and_a_newer_one_is_left_alone(
    empty_postgres: str,
) -> None:
    """Housekeeping of the release before runs beside the one after it."""
    await migrate(empty_postgres, migrations=load_migrations()[:-1])
    assert await make_whole(empty_postgres, [empty_postgres])
    _run(empty_postgres, LATER)
    assert not await make_whole(empty_postgres, [empty_postgres])


async def test_another_database_has_another_birth(empty_postgres: str) -> None:
    async with await Database.open(empty_postgres) as database:
        assert await birth(database) is None, "there is no table yet"
        await migrate(empty_postgres)
        first = await birth(database)
        assert first is not None and await birth(database) == first
        _run(empty_postgres, "drop schema public cascade; create schema public")
        await migrate(empty_postgres)
        assert await birth(database) not in (None, first)
