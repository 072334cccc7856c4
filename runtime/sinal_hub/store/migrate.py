"""Forward-only migrations: `migrations/NNNN_name.sql`, applied once each, in order, in one
transaction each.

Every replica may call `migrate` at start: an advisory lock lets one work and the others find it
done. What was applied is remembered with its checksum, so that an edited file or a database of a
newer release is refused, never guessed at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

import psycopg
from psycopg.rows import TupleRow

from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import MigrationError, StoreRejected, StoreUnavailable, translated
from sinal_hub.store.partitions import ensure_partitions

LOCK = 0x53_49_4E_41_4C  # "SINAL": an advisory lock of whoever changes tables or logins
_FILE = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_TABLE = """
create table if not exists schema_migrations (
    version int primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True)
class Migration:
    """One file; `checksum` is the SHA-256 of its text."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """The migrations of this release, oldest first.

    Raises MigrationError for a gap or a bad file name.
    """
    found: list[Migration] = []
    for entry in resources.files("sinal_hub.store").joinpath("migrations").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        matched = _FILE.match(entry.name)
        if matched is None:
            raise MigrationError(f"{entry.name}: a migration is named NNNN_name.sql")
        found.append(Migration(int(matched[1]), matched[2], entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("migrations must be numbered 0001, 0002, … without gaps")
    return found


async def migrate(
    database_url: str, *, migrations: Sequence[Migration] | None = None, now: datetime | None = None
) -> list[str]:
    """Bring the database to this release and return the names applied.

    Raises MigrationError, StoreUnavailable.
    """
    wanted = load_migrations() if migrations is None else list(migrations)
    with translated():
        async with await psycopg.AsyncConnection.connect(
            database_url, autocommit=True
        ) as connection:
            # A lock of the session and not of a transaction: each migration commits by itself, and
            # the next replica must wait for the last of them.
            await connection.execute("select pg_advisory_lock(%s)", (LOCK,))
            try:
                return await _migrate(connection, wanted, now or datetime.now(UTC))
            finally:
                await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))


async def require_schema(database: Database) -> None:
    """Return if the tables are of this release or a newer one.

    Raises StoreUnavailable while they are not.
    """
    newest = load_migrations()[-1].version
    try:
        async with database.autocommit() as connection:
            cursor = await connection.execute(
                "select coalesce(max(version), 0) as version from schema_migrations"
            )
            row = await cursor.fetchone()
    except StoreRejected as error:
        # The table or the right to read it is not there yet. Both come with the migrations, so it
        # is worth waiting for them.
        raise StoreUnavailable(f"no migrations to be read: {error}") from error
    found = 0 if row is None else int(row["version"])
    # A newer database will do: during an upgrade pods of two releases work on one.
    if found < newest:
        raise StoreUnavailable(
            f"migrations are at {found}, this release needs {newest}: sinal migrate"
        )


async def _migrate(
    connection: psycopg.AsyncConnection[TupleRow], wanted: list[Migration], now: datetime
) -> list[str]:
    await connection.execute(_TABLE)
    cursor = await connection.execute(
        "select version, name, checksum from schema_migrations order by version"
    )
    pending = _pending(wanted, await cursor.fetchall())
    for migration in pending:
        await _apply(connection, migration)
    if wanted:
        # A table that was just made has no weeks: until housekeeping runs, all would land in
        # DEFAULT.
        await ensure_partitions(connection, now=now)
    return [f"{migration.version:04d}_{migration.name}" for migration in pending]


def _pending(wanted: list[Migration], applied: Sequence[TupleRow]) -> list[Migration]:
    known = {migration.version: migration for migration in wanted}
    for version, name, checksum in applied:
        if version not in known:
            raise MigrationError(
                f"the database has migration {version:04d}_{name}, which this release does not "
                "know: "
                "run the release that made it, or a newer one"
            )
        if known[version].checksum != checksum:
            raise MigrationError(
                f"migration {version:04d}_{name} was changed after it was applied: "
                "restore the file and put the change into a new migration"
            )
    done = {version for version, _, _ in applied}
    return [migration for migration in wanted if migration.version not in done]


async def _apply(connection: psycopg.AsyncConnection[TupleRow], migration: Migration) -> None:
    async with connection.transaction():
        # Without parameters psycopg takes the simple query protocol: the only one in which a file
        # of many statements can be sent at once.
        await connection.execute(migration.sql.encode())
        await connection.execute(
            "insert into schema_migrations (version, name, checksum) values (%s, %s, %s)",
            (migration.version, migration.name, migration.checksum),
        )
