"""What many destinations ask of the ledger at once: each gets what it would have got alone, and
pays for no other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from sinal_core.outbox.ledger import Answered, Claim, ClaimLost, Ref, Request, Result
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreRejected
from sinal_hub.store.delivery import DeliveryStore
from sinal_hub.store.delivery_rows import Row

INSERT = """
insert into capi_events (created_at, tenant_id, source_event, funnel, destination, event_name, event_id, event_time,
    payload_json, received_at)
select date_trunc('milliseconds', now()), %s, 'ev_' || n, 'curso', %s, 'Purchase', n::text, 1, '{}', now()
from generate_series(1, %s) n returning id, (extract(epoch from created_at) * 1000)::bigint
"""
SHOPS = [(f"loja-{n}", pixel) for n in range(6) for pixel in ("pixel", "outro")]


class Room:
    """A ledger with a store: of what is asked at once the first go alone, the others share the next
    statement.
    """

    def __init__(self, url: str, database: Database) -> None:
        self.url = url
        self.store = DeliveryStore(database, settle_waits_s=())

    async def add(self, tenant: str, destination: str, rows: int) -> list[Ref]:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            found = await connection.execute(INSERT, (tenant, destination, rows))
            return [Ref(*row) for row in await found.fetchall()]

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with await psycopg.AsyncConnection.connect(
            self.url, row_factory=dict_row
        ) as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def claims(self, asked: Sequence[tuple[str, str, Sequence[Ref]]]) -> list[Claim[Row]]:
        return await asyncio.gather(*(self.store.claim(*one, lease_s=30) for one in asked))


@pytest.fixture
async def room(postgres: str) -> AsyncIterator[Room]:
    async with await Database.open(postgres) as database:
        yield Room(postgres, database)


async def test_each_destination_gets_its_own_rows_and_a_request_of_its_own(room: Room) -> None:
    asked = [(*shop, await room.add(*shop, rows)) for rows, shop in enumerate(SHOPS, 1)]
    claims = await room.claims(asked)
    for (_, _, refs), claim in zip(asked, claims, strict=True):
        assert [row.ref for row in claim.rows] == refs
        assert not claim.waiting
        assert not claim.settled
    requests = {claim.request.id for claim in claims if claim.request}
    assert len(requests) == len(SHOPS)
    written = await room.rows(
        "select q.id, q.tenant_id, q.destination, q.events, count(a.id) as attempts "
        "from dispatch_requests q join dispatch_attempts a on a.request_id = q.id and a.tenant_id "
        "= q.tenant_id "
        "group by 1, 2, 3, 4 order by events"
    )
    assert [
        (row["tenant_id"], row["destination"], row["events"], row["attempts"]) for row in written
    ] == [(*shop, rows, rows) for rows, shop in enumerate(SHOPS, 1)]


async def test_nobody_takes_the_rows_of_another(room: Room) -> None:
    asked = [(*shop, await room.add(*shop, 2)) for shop in SHOPS]
    names, refs = [one[:2] for one in asked], [one[2] for one in asked]
    claims = await room.claims(
        [(*name, other) for name, other in zip(names, refs[1:] + refs[:1], strict=True)]
    )
    assert [claim.rows for claim in claims] == [[]] * len(SHOPS)
    assert [claim.settled for claim in claims] == refs[1:] + refs[:1]
    assert not await room.rows("select from capi_events where status <> 'pending'")


async def test_what_is_not_due_waits_and_what_is_done_is_done(room: Room) -> None:
    asked = [(*shop, await room.add(*shop, 3)) for shop in SHOPS]
    done, later = [refs[0].id for *_, refs in asked], [refs[1].id for *_, refs in asked]
    async with await psycopg.AsyncConnection.connect(room.url) as connection:
        await connection.execute(
            "update capi_events set status = 'delivered' where id = any(%s)", [done]
        )
        due = (
            "update capi_events set next_attempt_at = now() + interval '1 minute' where id = "
            "any(%s)"
        )
        await connection.execute(due, [later])
    for (_, _, refs), claim in zip(asked, await room.claims(asked), strict=True):
        assert [row.ref for row in claim.rows] == refs[2:]
        assert claim.settled == refs[:1]
        assert list(claim.waiting) == refs[1:2]
        assert 30 < claim.waiting[refs[1]] <= 60


async def test_a_settlement_that_comes_twice_takes_no_row_from_the_next_worker(room: Room) -> None:
    """The first was committed and its answer lost; the row has as many attempts as before."""
    refs = await room.add("loja", "pixel", 1)
    first = await room.store.claim("loja", "pixel", refs, lease_s=30)
    thrown_back = Result(row=first.rows[0], outcome="throttled", status="pending", counted=False)
    assert await room.store.settle("loja", [thrown_back], request=first.request)
    second = await room.store.claim("loja", "pixel", refs, lease_s=30)
    assert [row.attempts for row in second.rows] == [row.attempts for row in first.rows]
    assert await room.store.settle("loja", [thrown_back], request=first.request) == set()
    [row] = await room.rows("select status, attempts from capi_events")
    assert (row["status"], row["attempts"]) == ("sending", 1)
    with pytest.raises(ClaimLost):
        await room.store.reopen("loja", "pixel", first.rows, first.rows, lease_s=30)
    delivered = Result(row=second.rows[0], outcome="delivered", status="delivered")
    assert await room.store.settle("loja", [delivered], request=second.request) == {refs[0].id}


FATES = (
    {"outcome": "delivered", "status": "delivered"},
    {"outcome": "retry", "status": "pending", "delay_s": 20.0},
    {"outcome": "throttled", "status": "pending", "delay_s": 9.0, "counted": False},
    {"outcome": "refused", "status": "dead", "reason": "rejected", "detail": "no such field"},
    {"outcome": "in_doubt", "status": "pending", "doubts": 1},
    {"outcome": "refused"},
    {"status": "withheld", "reason": "no_consent"},
)


def results_of(rows: Sequence[Row], rng: random.Random) -> list[Result[Row]]:
    fates: list[dict[str, Any]] = [dict(rng.choice(FATES)) for _ in rows]
    return [Result(row=row, **fate) for row, fate in zip(rows, fates, strict=True)]


def answer_of(results: Sequence[Result[Row]], number: int) -> Answered:
    sent = sum(result.outcome is not None for result in results)
    return Answered(
        sent=sent,
        verdict="data",
        http_status=400 + number,
        code=100,
        subcode=number,
        trace_id=f"t{number}",
        answer=f"answer {number}\0",
        latency_ms=number,
    )


LEDGER = (
    "select tenant_id, destination, source_event, status, reason, attempts, in_doubt, "
    "next_attempt_at is not null as due, lease_until is not null as leased, settled_at is not null "
    "as ended "
    "from capi_events order by 1, 2, id",
    "select e.tenant_id, e.destination, e.source_event, a.attempt_no, a.outcome, a.http_status, "
    "a.code, a.subcode, "
    "a.provider_response, a.finished_at is not null as closed from dispatch_attempts a "
    "join capi_events e on e.id = a.capi_event_id order by 1, 2, e.id, attempt_no",
    "select tenant_id, destination, events, http_status, subcode, verdict, fbtrace_id, answer, "
    "latency_ms, "
    "finished_at is not null as closed from dispatch_requests order by 1, 2",
    "select tenant_id, destination, event_row, reason, detail, attempts, body from dead_letters "
    "order by 1, 2, 3",
)


async def settled(room: Room, seed: int, *, at_once: bool) -> list[list[dict[str, Any]]]:
    """The ledger after every shop's rows met fates that the seed decides; it is emptied before."""
    async with await psycopg.AsyncConnection.connect(room.url) as connection:
        await connection.execute(
            "truncate capi_events, dispatch_attempts, dispatch_requests, dead_letters"
        )
    rng = random.Random(seed)
    asked = [(*shop, await room.add(*shop, rng.randint(1, 8))) for shop in SHOPS]
    claims = await room.claims(asked)
    settlements = []
    for number, ((tenant, _, _), claim) in enumerate(zip(asked, claims, strict=True)):
        results = results_of(claim.rows, rng)
        settlements.append((tenant, results, claim.request, answer_of(results, number)))
    works = [
        room.store.settle(tenant, results, request=request, answered=answered)
        for tenant, results, request, answered in settlements
    ]
    moved = await asyncio.gather(*works) if at_once else [await work for work in works]
    for (_, results, _, _), ids in zip(settlements, moved, strict=True):
        assert ids == {result.row.id for result in results if result.status is not None}
    return [await room.rows(query) for query in LEDGER]


@pytest.mark.parametrize("seed", range(6))
async def test_settled_together_is_settled_as_alone(room: Room, seed: int) -> None:
    assert await settled(room, seed, at_once=True) == await settled(room, seed, at_once=False)


async def test_a_settlement_that_postgresql_refuses_harms_no_other(room: Room) -> None:
    asked = [(*shop, await room.add(*shop, 2)) for shop in SHOPS]
    claims = await room.claims(asked)
    bad = 7  # not among the first, which go alone

    async def settle(place: int, tenant: str, claim: Claim[Row]) -> set[int]:
        fate: dict[str, Any] = {
            "outcome": "delivered",
            "status": "nonsense" if place == bad else "delivered",
        }
        request: Request | None = claim.request
        return await room.store.settle(
            tenant, [Result(row=row, **fate) for row in claim.rows], request=request
        )

    works = [
        settle(place, one[0], claim)
        for place, (one, claim) in enumerate(zip(asked, claims, strict=True))
    ]
    found = await asyncio.gather(*works, return_exceptions=True)
    assert isinstance(found.pop(bad), StoreRejected)
    claims.pop(bad)
    assert found == [{row.id for row in claim.rows} for claim in claims]
