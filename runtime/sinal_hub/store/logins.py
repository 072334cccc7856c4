"""Logins of the roles that the migrations make: they can't log in until somebody gives them a
password.

The owner does, from the URLs that the processes will use. What leaves this process is a verifier,
not the password.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sinal_core.postgres.errors import MigrationError, translated
from sinal_hub.store.migrate import LOCK
from sinal_hub.store.settings import ApiLoginSettings

API_LOGIN = "sinal_api"


def as_api(url: str, password: str) -> str:
    """The same server and database as the login of the operations API.

    Raises MigrationError for a URL that is none.
    """
    try:
        return make_conninfo(url, user=API_LOGIN, password=password)
    except psycopg.ProgrammingError as error:
        raise MigrationError(f"the URL of the database can't be read: {error}") from None


def api_url(settings: ApiLoginSettings) -> str | None:
    """Where the operations API has a login of its own; None where it has the worker's alone."""
    if settings.api_database_url is not None:
        return settings.api_database_url.get_secret_value()
    if settings.api_database_password is not None:
        return as_api(
            settings.database_url.get_secret_value(),
            settings.api_database_password.get_secret_value(),
        )
    return None


async def allow_logins(owner_url: str, urls: Iterable[str]) -> list[str]:
    """Let the user of each URL log in with its password and return their names.

    Raises MigrationError, StoreError.
    """
    owner = conninfo_to_dict(owner_url).get("user")
    # The owner's password is the one that this very connection uses: it is not changed under it.
    users = {
        str(user): str(password)
        for user, password in map(_login, urls)
        if user and password and user != owner
    }
    with translated():
        async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:
            # two at once fail on the same row
            await connection.execute("select pg_advisory_lock(%s)", (LOCK,))
            for user, password in users.items():
                await _allow(connection, user, password)
    return list(users)


def _login(url: str) -> tuple[object, object]:
    parts = conninfo_to_dict(url)
    return parts.get("user"), parts.get("password")


async def _allow(
    connection: psycopg.AsyncConnection[tuple[object, ...]], user: str, password: str
) -> None:
    # Statements may end up in the server's log. With a SCRAM verifier alone nobody can log in.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), user.encode(), b"scram-sha-256"
    ).decode()
    change = sql.SQL("alter role {} login password {}").format(
        sql.Identifier(user), sql.Literal(verifier)
    )
    try:
        await connection.execute(change)
    except psycopg.errors.UndefinedObject:
        raise MigrationError(
            f"there is no role {user}: use sinal_worker or sinal_api, which the migrations make, "
            "or make it "
            "and grant it one of them"
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise MigrationError(
            f"the owner may not let {user} log in: give it a login yourself and leave out --logins"
        ) from None
