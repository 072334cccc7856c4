"""All rows of one moment, out of PostgreSQL and into another: `COPY` in text, which no version of
PostgreSQL changes.

The tables themselves are not dumped: migrations make them, up to the version that the rows are of.
So neither side needs PostgreSQL's own programs, and what a restored database looks like is what
this release knows.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from sinal_core.postgres.errors import MigrationError, translated
from sinal_hub.store.migrate import load_migrations, migrate
from sinal_hub.store.partitions import ensure_partitions

Connection = psycopg.AsyncConnection[TupleRow]

_KEPT = "schema_migrations"  # made by the migrations themselves
_TABLES = """
select c.relname from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and c.relname <> 'schema_migrations'
order by 1
"""
_COLUMNS = """
select attname from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""
_REFERENCES = """
select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
where contype = 'f' and connamespace = 'public'::regnamespace and conrelid <> confrelid and conparentid = 0
"""
_SEQUENCES = """
select format('%I.%I', schemaname, sequencename), coalesce(last_value, 0) from pg_sequences where schemaname = 'public'
"""
_WEEKS = """
select c.relname from pg_class c where c.relispartition and c.relkind = 'r' and c.relname ~ '_p[0-9]{8}$' order by 1
"""
_FORCED = (
    "select relname from pg_class where relforcerowsecurity and relnamespace = "
    "'public'::regnamespace"
)
_MADE = re.compile(r"create (table|function) (?:if not exists )?(\w+)", re.IGNORECASE)
_OTHERS = """
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and usename is not null
"""

_LEFT = """
select datname from pg_database d
where starts_with(datname, %s || '_') and pg_has_role(datdba, 'usage')
    and not exists (select from pg_stat_activity a where a.datname = d.datname)
"""  # of one that was killed


class Source:
    """One snapshot of a database; raises StoreUnavailable, StoreRejected."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Source]:
        """Everything that is asked here is of the moment of the first question."""
        with translated():
            async with await _connect(url) as connection:
                # By PostgreSQL's default each COPY would see a moment of its own, and rows could
                # refer to others that are not in the backup.
                await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
                await connection.set_read_only(True)
                async with connection.transaction():
                    yield cls(connection)

    async def version(self) -> int:
        """The newest migration; raises MigrationError where there is none."""
        found = await _column(self._connection, "select to_regclass('schema_migrations')::text")
        if found == [None]:
            raise MigrationError("the database has no tables of Sinal: sinal migrate")
        (version,) = await _column(
            self._connection, "select coalesce(max(version), 0) from schema_migrations"
        )
        return int(version)

    async def now(self) -> datetime:
        """The snapshot's time."""
        (moment,) = await _column(self._connection, "select now()")
        return moment.astimezone(UTC)  # type: ignore[no-any-return]

    async def tables(self) -> list[str]:
        """Names of all tables."""
        return await _column(self._connection, _TABLES)

    async def weeks(self) -> list[str]:
        """Names of all weekly partitions."""
        return await _column(self._connection, _WEEKS)

    async def sequences(self) -> dict[str, int]:
        """What each sequence gave last."""
        return dict(await (await self._connection.execute(_SEQUENCES)).fetchall())

    async def rows(self, table: str) -> AsyncIterator[bytes]:
        """A line with the columns' names, then a table's rows as COPY writes them, a chunk at a
        time.
        """
        columns = await _column(self._connection, _COLUMNS, table)
        yield ("\t".join(columns) + "\n").encode()
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("copy (select {} from {}) to stdout").format(names, sql.Identifier(table))
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            async for row in copy:
                yield bytes(row)


async def in_use(url: str) -> bool:
    """Whether anything of Sinal is in the tables: a tenant's events, clicks or keys."""
    with translated():
        async with await _connect(url) as connection:
            for table in ("events", "clicks", "conversions", "api_keys"):
                if await _column(connection, f"select to_regclass('{table}')::text") == [None]:
                    continue
                query = sql.SQL("select exists (select from {})").format(sql.Identifier(table))
                if (await _column(connection, query))[0]:
                    return True
    return False


async def others(url: str) -> int:
    """Connections to this database besides the one that asks."""
    with translated():
        async with await _connect(url) as connection:
            return int((await _column(connection, _OTHERS))[0])


class DumpTarget:
    """A database that is filled in one transaction.

    Raises StoreUnavailable, StoreRejected, MigrationError.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, version: int, weeks: Sequence[str], at: datetime
    ) -> AsyncIterator[DumpTarget]:
        """Tables of that version and nothing in them; what is of Sinal now goes.

        Later migrations follow at the end.
        """
        known = load_migrations()
        if version > known[-1].version:
            raise MigrationError(
                f"the backup has migration {version:04d}, which this release does not know: "
                "restore it with the release that made it, or a newer one"
            )
        with translated():
            async with await _connect(url) as connection:
                await _clear(connection)
            # Not yet up to this release: a later migration may change rows, and must find them.
            await migrate(url, migrations=known[:version], now=at)
            async with await _connect(url) as connection, connection.transaction():
                # Weeks as old as the backup's: rows of no week land in DEFAULT, where retention
                # deletes them one by one in place of dropping their table.
                await ensure_partitions(
                    connection, now=at, behind=_age(weeks, at), ahead=timedelta(days=21)
                )
                # FORCE binds a table's owner to its policies, and it is the owner who restores. All
                # of this is one transaction, so that no failure leaves a table without it.
                forced = await _column(connection, _FORCED)
                await _force(connection, forced, "no force")
                yield cls(connection)
                await _force(connection, forced, "force")
        await migrate(url)

    async def sequence(self, tables: Sequence[str]) -> list[str]:
        """The tables in a sequence in which every row finds what it refers to."""
        references = await (await self._connection.execute(_REFERENCES)).fetchall()
        left, found = list(tables), list[str]()
        while left:
            # Where tables refer to one another in a ring, no sequence helps: they go as they are,
            # and the foreign key says so if a row is missing.
            free = [t for t in left if not any(a == t and b in left for a, b in references)] or left
            found += free
            left = [t for t in left if t not in free]
        return found

    async def fill(self, table: str, chunks: Iterator[bytes]) -> int:
        """Take in what `Source.rows` gave; returns how many rows."""
        head = b""
        while b"\n" not in head:
            head += next(chunks)
        names, _, first = head.partition(b"\n")
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in names.decode().split("\t"))
        query = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), columns)
        async with self._connection.cursor() as cursor:
            async with cursor.copy(query) as copy:
                await copy.write(first)
                for chunk in chunks:
                    await copy.write(chunk)
            return cursor.rowcount

    async def tenants(self) -> dict[str, str]:
        """Names of tenants by slug."""
        return dict(
            await (await self._connection.execute("select id, name from tenants")).fetchall()
        )

    async def set_sequences(self, values: dict[str, int]) -> None:
        """New ids come after those that are there."""
        for name, last in values.items():
            # A sequence that gave nothing yet stays as it was made: `setval` refuses 0.
            if last:
                await self._connection.execute("select setval(%s::regclass, %s)", (name, last))


@asynccontextmanager
async def scratch(url: str, name: str) -> AsyncIterator[str]:
    """A database for the length of a block; gives its URL.

    Raises StoreRejected where it can't be made.
    """
    identifier = sql.Identifier(name)
    with translated():
        async with await _connect(url) as connection:
            for left in await _column(connection, _LEFT, name.rpartition("_")[0]):
                await connection.execute(
                    sql.SQL("drop database if exists {}").format(sql.Identifier(left))
                )
            await connection.execute(sql.SQL("create database {}").format(identifier))
        try:
            yield psycopg.conninfo.make_conninfo(url, dbname=name)
        finally:
            async with await _connect(url) as connection:
                # Connections to it may still be there after an error: without FORCE they keep it.
                await connection.execute(
                    sql.SQL("drop database if exists {} with (force)").format(identifier)
                )


async def _connect(url: str) -> Connection:
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, application_name="sinal-backup"
    )
    # COPY writes times in the session's zone: this way a backup does not depend on where it was
    # made.
    await connection.execute("set timezone = 'UTC'")
    return connection


async def _column(connection: Connection, query: Any, *values: object) -> list[Any]:
    return [row[0] for row in await (await connection.execute(query, values or None)).fetchall()]


async def _clear(connection: Connection) -> None:
    """Drop all that migrations of this release have ever made."""
    made = [found for migration in load_migrations() for found in _MADE.findall(migration.sql)]
    async with connection.transaction():
        for kind, name in (*reversed(made), ("table", _KEPT)):
            statement = "drop {} if exists {} cascade"
            await connection.execute(
                sql.SQL(statement).format(sql.SQL(kind.lower()), sql.Identifier(name))
            )


async def _force(connection: Connection, tables: Sequence[str], how: str) -> None:
    """COPY fills no table whose owner its own row-level security binds."""
    for table in tables:
        statement = "alter table {} {} row level security"
        await connection.execute(sql.SQL(statement).format(sql.Identifier(table), sql.SQL(how)))


def _age(weeks: Sequence[str], at: datetime) -> timedelta:
    """How far back partitions are wanted."""
    starts = [datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC) for name in weeks]
    return max(timedelta(days=8), at - min(starts, default=at))
