"""A database that was lost is made whole by the release itself: where PostgreSQL may come back
without its data.

The evaluation's does, which has no replica and no backup. Whoever has the owner's URL makes tables
and logins again; whoever remembers what was in the tables before finds out that they are others,
and begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreError, translated
from sinal_hub.store.logins import allow_logins
from sinal_hub.store.migrate import load_migrations, migrate

log = structlog.get_logger(__name__)

_HAS_TABLES = "select to_regclass('schema_migrations') is not null"
_VERSION = "select coalesce(max(version), 0) from schema_migrations"
_WITHOUT = (
    "select count(*) from unnest(%s::text[]) u where u not in (select rolname from "
    "pg_roles "
    "where rolcanlogin)"
)
_BIRTH = "select min(applied_at) as at from schema_migrations"


async def make_whole(owner_url: str, urls: Iterable[str]) -> bool:
    """Bring a database that is behind this release, or empty, to it; whether that was needed.

    `urls` are those of the roles' logins. A newer database is left as it is. Raises MigrationError,
    StoreError.
    """
    urls = list(urls)
    users = [str(conninfo_to_dict(url).get("user")) for url in urls]
    if await _is_whole(owner_url, users):
        return False
    applied = await migrate(owner_url)
    logins = await allow_logins(owner_url, urls)
    log.warning("store.made_whole", migrations=len(applied), logins=logins)
    return True


async def birth(database: Database) -> datetime | None:
    """When the database got its first table: another moment is another database.

    None where it can't be asked.
    """
    try:
        async with database.autocommit() as connection:
            row = await (await connection.execute(_BIRTH)).fetchone()
    except StoreError:
        return None
    return None if row is None else row["at"]


async def _is_whole(owner_url: str, users: Sequence[str]) -> bool:
    """Whether there are tables of this release or a newer one, and the roles may log in."""
    with translated():
        async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:

            async def one(query: LiteralString, *values: object) -> Any:
                row = await (await connection.execute(query, values)).fetchone()
                return None if row is None else row[0]

            if not await one(_HAS_TABLES) or await one(_VERSION) < load_migrations()[-1].version:
                return False
            return bool(await one(_WITHOUT, users) == 0)
