"""`sinal migrate`: the database brought to this release, by its owner."""

from __future__ import annotations

import asyncio
import time

from sinal_cli.offline import complain
from sinal_cli.roles.process import run_loop
from sinal_core.postgres.settings import OwnerSettings

PAUSE_S = 1.0


def migrate_database(*, wait_s: float = 0, logins: bool = False) -> int:
    """Apply what is missing and say so.

    1 with a message when the database refuses or does not answer.
    """
    from sinal_cli.settings import MigrateSettings
    from sinal_core.postgres.errors import StoreError, StoreUnavailable
    from sinal_hub.store.logins import allow_logins, api_url

    settings = MigrateSettings()
    owner = settings.owner_url.get_secret_value()
    users = [settings.database_url.get_secret_value()]
    said: list[str] = []

    async def work() -> None:
        said.extend(await _migrate(owner, time.monotonic() + wait_s) or ["nothing to do"])
        if logins:
            if (of_api := api_url(settings)) is not None:
                users.append(of_api)
            said.extend(f"{user} may log in" for user in await allow_logins(owner, users))

    try:
        run_loop(work())
    except StoreUnavailable as error:
        complain(
            f"{_away(owner, error)}: start PostgreSQL, or correct {_variable(settings)}; "
            "--wait waits for it"
        )
        return 1
    except StoreError as error:
        complain(str(error))
        return 1
    print("\n".join(said))
    return 0


def _variable(settings: OwnerSettings) -> str:
    """Where the owner's URL was read."""
    return (
        "SINAL_MAINTENANCE_DATABASE_URL"
        if settings.maintenance_database_url
        else "SINAL_DATABASE_URL"
    )


def _away(url: str, error: Exception) -> str:
    """Which PostgreSQL, without the password, and what it or the system says."""
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
    except Exception:  # a URL that libpq can't read is told by the connection
        parts = {}
    place = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}"
    first = next(iter(str(error.__cause__ or error).strip().splitlines()), str(error))
    return (
        f"no PostgreSQL for {parts.get('user') or 'this user'} at {place} "
        f"({first.rpartition('failed: ')[2]})"
    )


async def _migrate(owner: str, deadline: float) -> list[str]:
    from sinal_core.postgres.errors import StoreUnavailable
    from sinal_hub.store.migrate import migrate

    while True:
        try:
            return list(await migrate(owner))
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE_S)
