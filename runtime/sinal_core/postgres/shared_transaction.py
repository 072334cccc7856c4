"""Batches of many tenants in one transaction, whose like statements become one.

A tenant with little traffic has batches of one event, and a statement costs nearly the same for one
as for a hundred. So the batches of several tenants run side by side, each as if it were alone; what
they ask of PostgreSQL is held until every one of them waits, and then the earliest statement that
somebody waits for is run once for all who do. Invariants: statements run in the sequence of
`STAGES`, so that concurrent transactions lock in one order; each batch sees the rows of its own
tenant only.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from psycopg.rows import DictRow

from sinal_core.postgres.columns import array, columns
from sinal_core.postgres.database import Connection

T = TypeVar("T")


class Stage(msgspec.Struct, frozen=True):
    """One place in the sequence: a statement and the constants it takes."""

    place: int
    statement: bytes
    constants: Mapping[str, object]


class StatementQueue(Protocol):
    """Where a batch asks PostgreSQL."""

    async def ask(self, stage: Stage, tenant: str, rows: Sequence[object]) -> list[DictRow]:
        """Run the stage's statement for these rows of one tenant, at least one."""
        ...


class _Question(msgspec.Struct, frozen=True):
    """What one batch asks: awaiting it gives it to `together`, which sends the rows of its tenant
    back.
    """

    stage: Stage
    tenant: str
    rows: Sequence[object]

    def __await__(self) -> Generator[_Question, list[DictRow], list[DictRow]]:
        return (yield self)


class DirectQueue:
    """The gate of a batch that is alone: what it asks is run at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, stage: Stage, tenant: str, rows: Sequence[object]) -> list[DictRow]:
        """Run the stage's statement."""
        [found] = await _run(self._connection, [_Question(stage, tenant, rows)])
        return found


class SharedQueue:
    """The gate of batches that `together` runs."""

    async def ask(self, stage: Stage, tenant: str, rows: Sequence[object]) -> list[DictRow]:
        """Run the stage's statement together with whoever else waits for it."""
        return await _Question(stage, tenant, rows)


async def together(connection: Connection, members: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run batches of different tenants side by side.

    The first error ends all of them and is raised.

    They may await nothing but what they ask a `SharedQueue`. They are driven by hand: a task for
    each, woken by a future at every statement, cost a batch of one event more than all it does.
    """
    results: dict[int, T] = {}
    waiting: dict[int, list[tuple[int, _Question]]] = {}  # by place in the sequence

    def step(number: int, answer: list[DictRow] | None) -> None:
        try:
            question = members[number].send(answer)
        except StopIteration as end:  # how a coroutine that is driven by hand returns
            results[number] = end.value
            return
        if not isinstance(question, _Question):
            raise TypeError(
                f"a batch of a common transaction awaits {type(question).__name__}, not its gate"
            )
        waiting.setdefault(question.stage.place, []).append((number, question))

    try:
        for number in range(len(members)):
            step(number, None)
        while waiting:
            # The earliest stage first, also when a batch has only now come to it: two transactions
            # that lock rows of the same tables in different orders would end in a deadlock.
            asked = waiting.pop(min(waiting))
            found = await _run(connection, [question for _, question in asked])
            for (number, _), answer in zip(asked, found, strict=True):
                step(number, answer)
    finally:
        # of an error, those that still wait: a coroutine that is dropped would only warn
        for member in members:
            member.close()
    return [results[number] for number in range(len(members))]


async def _run(connection: Connection, questions: Sequence[_Question]) -> list[list[DictRow]]:
    """One statement for questions of one stage and of different tenants; their rows."""
    stage = questions[0].stage
    values = {
        "tenant": array(one.tenant for one in questions for _ in one.rows),  # of each row
        "tenants": array(one.tenant for one in questions),
        **columns([row for one in questions for row in one.rows]),
    }
    cursor = await connection.execute(stage.statement, {**values, **stage.constants})
    found: dict[str, list[DictRow]] = {one.tenant: [] for one in questions}
    for row in await cursor.fetchall() if cursor.description else ():
        # the only wall between batches here: a row reaches the batch of its own tenant or none
        found[row.pop("tenant_id")].append(row)
    return list(found.values())
