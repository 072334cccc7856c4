"""Batches of many tenants in one transaction, whose like statements become one.

A tenant with little traffic has batches of one event, and a statement costs nearly the same for one as for a hundred.
So the batches of several tenants run side by side, each as if it were alone; what they ask of PostgreSQL is held until
every one of them waits, and then the earliest statement that somebody waits for is run once for all who do.
Invariants: statements run in the sequence of `STAGES`, so that concurrent transactions lock in one order; each batch
sees the rows of its own tenant only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar

import msgspec
from psycopg.rows import DictRow

from sinal_runtime.store.database import Connection

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Stage(msgspec.Struct, frozen=True):
    """One place in the sequence: a statement and the constants it takes."""

    place: int
    statement: bytes
    constants: Mapping[str, object]


class _Question(msgspec.Struct, frozen=True):
    """What one batch asks; `answer` gets the rows of its tenant."""

    tenant: str
    rows: msgspec.Raw
    answer: asyncio.Future[list[DictRow]]


class Gate:
    """The statements of one transaction; `members` batches, of different tenants, come through it."""

    def __init__(self, connection: Connection, *, members: int = 1) -> None:
        self._connection = connection
        self._members = members
        self._asked: dict[int, tuple[Stage, list[_Question]]] = {}
        self._waiting = 0

    async def ask(self, stage: Stage, tenant: str, rows: object) -> list[DictRow]:
        """Run the stage's statement for these rows of one tenant, together with whoever else waits for it."""
        question = _Question(tenant, msgspec.Raw(_encode(rows)), asyncio.get_running_loop().create_future())
        self._asked.setdefault(stage.place, (stage, []))[1].append(question)
        self._waiting += 1
        await self._open()
        return await question.answer

    async def leave(self) -> None:
        """A member has nothing more to ask."""
        self._members -= 1
        await self._open()

    async def _open(self) -> None:
        """Answer the earliest stage once all members wait."""
        if not self._waiting or self._waiting < self._members:
            return
        stage, questions = self._asked.pop(min(self._asked))
        self._waiting -= len(questions)
        batches = _encode([{"tenant": one.tenant, "rows": one.rows} for one in questions]).decode()
        cursor = await self._connection.execute(stage.statement, {"batches": batches, **stage.constants})
        found: dict[str, list[DictRow]] = {one.tenant: [] for one in questions}
        for row in await cursor.fetchall() if cursor.description else ():
            found[row.pop("tenant_id")].append(row)
        for one in questions:
            if not one.answer.done():
                one.answer.set_result(found[one.tenant])


async def together(gate: Gate, members: Iterable[Awaitable[T]]) -> list[T]:
    """Run the members side by side; the first error ends all of them and is raised."""

    async def through(member: Awaitable[T]) -> T:
        result = await member
        await gate.leave()
        return result

    tasks = [asyncio.ensure_future(through(member)) for member in members]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
