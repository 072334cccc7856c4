"""Batches of many tenants share a transaction: at once when there is room, gathered when there is
none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from sinal_core.aio.coalesce import Coalescer


@dataclass(frozen=True)
class Lot:
    """So many messages of a tenant."""

    tenant: str
    size: int

    @property
    def key(self) -> str:
        return self.tenant

    def __len__(self) -> int:
        return self.size


class Work:
    """Records calls; each takes until `go` is set."""

    def __init__(self) -> None:
        self.calls: list[list[Lot]] = []
        self.go = asyncio.Event()
        self.fails_for: set[str] = set()

    async def __call__(self, lots: Sequence[Lot]) -> list[int]:
        self.calls.append(list(lots))
        await self.go.wait()
        if {lot.tenant for lot in lots} & self.fails_for:
            raise RuntimeError("refused")
        return [lot.size for lot in lots]


async def started(gathered: Coalescer[Lot, int], *lots: Lot) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(gathered.run(lot)) for lot in lots]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_with_a_free_slot_a_batch_goes_alone_and_at_once() -> None:
    work = Work()
    gathered = Coalescer(work, slots=2, most=200)
    tasks = await started(gathered, Lot("a", 1), Lot("b", 1))
    assert work.calls == [[Lot("a", 1)], [Lot("b", 1)]]
    work.go.set()
    await asyncio.gather(*tasks)


async def test_what_waits_for_a_slot_goes_together() -> None:
    work = Work()
    gathered = Coalescer(work, slots=1, most=200)
    tasks = await started(gathered, *(Lot(tenant, 2) for tenant in "abcd"))
    work.go.set()
    await asyncio.gather(*tasks)
    assert work.calls == [[Lot("a", 2)], [Lot("b", 2), Lot("c", 2), Lot("d", 2)]]


async def test_no_call_takes_more_messages_than_it_may() -> None:
    work = Work()
    gathered = Coalescer(work, slots=1, most=10)
    tasks = await started(gathered, *(Lot(tenant, 6) for tenant in "abc"), Lot("d", 4))
    work.go.set()
    await asyncio.gather(*tasks)
    assert work.calls == [[Lot("a", 6)], [Lot("b", 6), Lot("d", 4)], [Lot("c", 6)]]


async def test_a_tenant_has_one_batch_under_way_and_keeps_its_sequence() -> None:
    work = Work()
    gathered = Coalescer(work, slots=3, most=200)
    tasks = await started(gathered, Lot("a", 1), Lot("a", 2), Lot("b", 1), Lot("a", 3))
    assert work.calls == [[Lot("a", 1)], [Lot("b", 1)]]
    work.go.set()
    await asyncio.gather(*tasks)
    assert [lot.size for call in work.calls for lot in call if lot.tenant == "a"] == [1, 2, 3]


async def test_each_waiter_learns_what_became_of_its_call() -> None:
    work = Work()
    work.fails_for = {"b"}
    gathered = Coalescer(work, slots=1, most=200)
    first, second, third = await started(gathered, Lot("a", 1), Lot("b", 1), Lot("c", 1))
    work.go.set()
    await first
    for waiter in (second, third):  # one call took both
        with pytest.raises(RuntimeError):
            await waiter
    await gathered.run(Lot("d", 1))


async def test_a_waiter_that_gave_up_is_not_worked_on() -> None:
    work = Work()
    gathered = Coalescer(work, slots=1, most=200)
    first, second = await started(gathered, Lot("a", 1), Lot("b", 1))
    second.cancel()
    work.go.set()
    await first
    await gathered.run(Lot("c", 1))
    assert work.calls == [[Lot("a", 1)], [Lot("c", 1)]]


async def test_each_gets_the_result_of_its_own() -> None:
    work = Work()
    work.go.set()
    gathered = Coalescer(work, slots=1, most=200)
    assert await asyncio.gather(
        *(gathered.run(Lot(tenant, size)) for size, tenant in enumerate("abcd"))
    ) == [
        0,
        1,
        2,
        3,
    ]


async def test_calls_that_start_apart_share_what_comes_between() -> None:
    work = Work()
    work.go.set()
    gathered = Coalescer(
        work, slots=2, most=200, apart_s=1
    )  # long beside the moment that a slow machine takes to get here
    tasks = await started(gathered, *(Lot(tenant, 2) for tenant in "abcd"))
    assert work.calls == [[Lot("a", 2)]]
    assert await asyncio.gather(*tasks) == [2, 2, 2, 2]
    assert work.calls[1:] == [[Lot("b", 2), Lot("c", 2), Lot("d", 2)]]


async def test_a_full_call_waits_for_nothing() -> None:
    work = Work()
    work.go.set()
    gathered = Coalescer(work, slots=2, most=10, apart_s=3_600)
    tasks = await started(gathered, Lot("a", 1), Lot("b", 4), Lot("c", 4))
    assert work.calls == [[Lot("a", 1)]]
    more = await started(gathered, Lot("d", 3))
    assert work.calls[1:] == [[Lot("b", 4), Lot("c", 4)]]
    for task in (*tasks, *more):
        task.cancel()
