"""What is kept of a visitor who comes again: the first page, the latest of everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sinal_core.nats.client import Outgoing, Published
from sinal_core.nats.errors import BusError
from sinal_core.nats.lane import match_lane
from sinal_hub.model.sale import Tracking

from tests.support.fix_matching import Room

PAGE = "https://loja.example/"


async def test_a_later_visit_keeps_the_first_page_and_brings_its_own_cookies(room: Room) -> None:
    await room.deliver(
        room.visit(at=-20, click_id="c1", url=PAGE + "first", fbp="fb.1.1700000000000.1")
    )
    await room.deliver(
        room.visit(
            at=-10, click_id="c1", url=PAGE + "second", fbp="fb.1.1700000000000.2", ip="203.0.113.9"
        )
    )
    [row] = await room.rows("select url, fbp, ip, ts, last_seen_at from clicks")
    assert (row["url"], row["fbp"], row["ip"]) == (
        PAGE + "first",
        "fb.1.1700000000000.2",
        "203.0.113.9",
    )
    assert (row["last_seen_at"] - row["ts"]).total_seconds() == 600


async def test_a_visit_from_before_the_first_known_one_tells_the_first_page_and_fills_gaps_only(
    room: Room,
) -> None:
    await room.deliver(
        room.visit(at=-10, click_id="c1", url=PAGE + "second", fbp="fb.1.1700000000000.2")
    )
    earlier = room.visit(
        at=-20, click_id="c1", url=PAGE + "first", fbp="fb.1.1700000000000.1", external_id="u1"
    )
    later = room.visit(at=-5, click_id="c2", url=PAGE + "other")
    await room.deliver(earlier, later)
    known, other = await room.rows("select url, fbp, external_id from clicks order by click_id")
    assert (known["url"], known["fbp"], known["external_id"]) == (
        PAGE + "first",
        "fb.1.1700000000000.2",
        "u1",
    )
    assert other["url"] == PAGE + "other"


async def test_visitors_known_and_new_in_one_batch_are_each_one_row(room: Room) -> None:
    await room.deliver(
        *[room.visit(at=-20, click_id=f"c{n}", products=[]) for n in range(0, 40, 2)]
    )
    await room.deliver(*[room.visit(at=-n / 10, click_id=f"c{n % 40}") for n in range(120)])
    found = await room.rows(
        "select click_id, count(*) as rows, max(last_seen_at) as at from clicks group by click_id"
    )
    assert {row["click_id"]: row["rows"] for row in found} == {f"c{n}": 1 for n in range(40)}


async def test_the_next_batch_of_a_tenant_is_stored_while_the_broker_still_takes_the_one_before(
    room: Room,
) -> None:
    taken = asyncio.Event()
    usual = room.bus.publish_many

    async def slow(
        messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Published | BusError]:
        if not taken.is_set():
            await taken.wait()
        return await usual(messages, timeout_s=timeout_s)

    room.bus.publish_many = slow  # type: ignore[method-assign]
    first = asyncio.create_task(
        room.worker.handle(match_lane("loja"), [room.message(room.sale(order="HP1"))])
    )
    second = asyncio.create_task(
        room.worker.handle(match_lane("loja"), [room.message(room.sale(order="HP2"))])
    )
    async with asyncio.timeout(30):
        while len(await room.rows("select from capi_events")) < 2:
            await asyncio.sleep(0.05)
    assert room.settlements.answers == []  # neither is on the bus yet
    taken.set()
    await asyncio.gather(first, second)
    assert room.settlements.answers == [b"+ACK"] * 2


async def test_what_a_crawler_does_is_recorded_and_no_click_to_match(room: Room) -> None:
    crawler = room.visit(at=-5, click_id="c1", fbclid="IwAR0abcDEF", crawler=True)
    page = room.visit("pageview", at=-5, click_id="c1", fbclid="IwAR0abcDEF", crawler=True)
    sale = room.sale(tracking=Tracking(click_id="c1", fbclid="IwAR0abcDEF"))
    await room.deliver(crawler, page, sale)
    assert [await room.outcome(event) for event in (crawler, page)] == [("withheld", "crawler")] * 2
    assert await room.rows("select from clicks") == []
    assert (await room.match(sale))[0] == "unmatched"
    assert [name for name, _ in await room.sent()] == ["Purchase"]


async def test_the_sale_of_a_visitor_whose_country_asks_for_consent_waits_for_a_yes(
    room: Room,
) -> None:
    for order, said in (("HP1", None), ("HP2", True)):
        visit = room.visit(at=-5, click_id=f"c-{order}", consent_required=True, consent_ads=said)
        sale = room.sale(order=order, tracking=Tracking(click_id=f"c-{order}"), key=order)
        await room.deliver(visit, sale)
        reason = None if said else "no_consent"
        assert (await room.outcome(sale))[1] == reason
    assert len(await room.sent()) == 1
