"""What is known of backups: when the last good ones began, how large they are, how long they
took.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import psycopg

from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import translated

_NOTE = """
insert into backups (began_at, bytes, seconds, checked) values (%s, %s, %s, %s)
"""
_LAST = """
select extract(epoch from began_at)::float8 as began_at, bytes, seconds from backups where checked
order by began_at desc limit 1
"""


class Backup(msgspec.Struct, frozen=True):
    """The last backup that was tried and is good: Unix time of its beginning, its size, its
    duration.
    """

    began_at: float
    bytes: int
    seconds: float


async def note(url: str, *, began_at: datetime, size: int, took_s: float, checked: bool) -> None:
    """Leave word of a backup; raises StoreUnavailable, StoreRejected."""
    with translated():
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(_NOTE, (began_at, size, took_s, checked))


async def last_good(database: Database) -> Backup | None:
    """The newest one that was tried by restoring it; raises StoreUnavailable."""
    async with database.autocommit() as connection:
        row = await (await connection.execute(_LAST)).fetchone()
    return None if row is None else Backup(**row)
