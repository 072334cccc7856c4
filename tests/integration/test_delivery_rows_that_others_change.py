"""Named after a bug: settling missed rows that matching was marking as published, and they stayed
`sending` for ever.

A statement that locks rows in one part and updates them in another misses those that changed after
its snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import psycopg
import pytest

from sinal_core.outbox.ledger import Answered, Claim, Ref, Result
from sinal_core.postgres.database import Database
from sinal_hub.store.delivery import DeliveryStore
from sinal_hub.store.delivery_rows import Row

T = TypeVar("T")

INSERT = """
insert into capi_events (created_at, tenant_id, source_event, funnel, destination, event_name, event_id, event_time,
    payload_json, received_at)
select date_trunc('milliseconds', now()), 'loja', 'ev_' || n, 'curso', 'pixel', 'Purchase', n::text, 1, '{}', now()
from generate_series(1, 20) n returning id, (extract(epoch from created_at) * 1000)::bigint
"""


@pytest.fixture
async def refs(postgres: str) -> list[Ref]:
    async with await psycopg.AsyncConnection.connect(postgres) as connection:
        return [Ref(*row) for row in await (await connection.execute(INSERT)).fetchall()]


async def while_marked_published(postgres: str, work: Awaitable[T]) -> T:
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        await other.execute("update capi_events set published_at = now()")
        task = asyncio.ensure_future(work)
        while not task.done() and not await somebody_waits(postgres):
            await asyncio.sleep(0.02)
        await other.commit()
        return await task


async def somebody_waits(postgres: str) -> bool:
    """Whether anybody waits for a lock."""
    async with await psycopg.AsyncConnection.connect(postgres) as connection:
        found = await connection.execute(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
        )
        return await found.fetchone() is not None


async def test_rows_are_claimed_while_matching_marks_them_published(
    postgres: str, refs: list[Ref]
) -> None:
    async with await Database.open(postgres) as database:
        store = DeliveryStore(database)
        claim: Claim[Row] = await while_marked_published(
            postgres, store.claim("loja", "pixel", refs, lease_s=30)
        )
        assert len(claim.rows) == len(refs)


async def test_rows_are_settled_while_matching_marks_them_published(
    postgres: str, refs: list[Ref]
) -> None:
    async with await Database.open(postgres) as database:
        store = DeliveryStore(database)
        claim = await store.claim("loja", "pixel", refs, lease_s=30)
        results = [Result(row=row, outcome="delivered", status="delivered") for row in claim.rows]
        settling = store.settle(
            "loja", results, request=claim.request, answered=Answered(sent=20, http_status=200)
        )
        moved = await while_marked_published(postgres, settling)
        assert moved == {row.id for row in claim.rows}
