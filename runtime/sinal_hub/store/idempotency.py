"""Results of work that must not be done twice, by the caller's Idempotency-Key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database

_SQL = queries.load("sinal_hub.store", "idempotency")
_json = msgspec.json.Encoder().encode


class KnownOperation(msgspec.Struct, kw_only=True, frozen=True):
    """What an Idempotency-Key was used for; not `done` while dead letters wait for the broker."""

    kind: str
    request_sha256: str
    done: bool
    letters: list[int]
    result: bytes


class IdempotencyStore:
    """Operations by their key.

    Every method raises StoreUnavailable, StoreRejected.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, actor: str, key: str) -> KnownOperation | None:
        """What this key of this caller was used for."""
        async with self._database.autocommit() as connection:
            return await _known(connection, actor, key)

    async def finish(self, actor: str, key: str) -> None:
        """Nothing is left to do of an operation."""
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL["finish_operation"], {"actor": actor, "key": key})


@asynccontextmanager
async def operation(
    database: Database, *, actor: str, key: str, tenant: str | None, kind: str, request_sha256: str
) -> AsyncIterator[tuple[Connection, KnownOperation | None]]:
    """One transaction, as the worker, that happens once a key.

    Of a second caller it gives what the first one did.
    """
    async with database.transaction() as connection:
        values = {
            "actor": actor,
            "key": key,
            "tenant": tenant,
            "kind": kind,
            "request": request_sha256,
        }
        began = await (await connection.execute(_SQL["begin_operation"], values)).fetchone()
        if began is None:
            yield connection, await _known(connection, actor, key)
            return
        # A few old results go with each new one: their table stays small without a chore of its
        # own.
        await connection.execute(_SQL["forget_operations"])
        yield connection, None


async def save_operation(
    connection: Connection, actor: str, key: str, *, done: bool, letters: list[int], result: object
) -> None:
    """Keep what an operation came to."""
    values = {"actor": actor, "key": key, "letters": letters, "result": _json(result).decode()}
    await connection.execute(
        _SQL["save_operation"], {**values, "state": "done" if done else "prepared"}
    )


async def _known(connection: Connection, actor: str, key: str) -> KnownOperation | None:
    found = await connection.execute(_SQL["known_operation"], {"actor": actor, "key": key})
    row = await found.fetchone()
    if row is None:
        return None
    return KnownOperation(
        kind=row["kind"],
        request_sha256=row["request_sha256"],
        done=row["state"] == "done",
        letters=row["letters"],
        result=row["result"].encode(),
    )
