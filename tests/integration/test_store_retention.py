"""Each tenant's data goes when that tenant's time is over; what must last for ever stays."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from sinal_hub.model.sale import Tracking
from sinal_hub.store.retention import purge

from tests.support.fix_matching import EMAIL, NOW, Room

PERSONAL = ("events", "clicks", "sessions", "identities", "matches", "open_orders", "capi_events")


async def _counts(room: Room) -> dict[str, int]:
    return {
        table: (await room.rows(f"select count(*) as n from {table} where tenant_id = 'loja'"))[0][
            "n"
        ]
        for table in PERSONAL
    }


async def _fill(room: Room) -> None:
    await room.deliver(
        room.visit("lead", click_id="c1", session_id="s1", fbclid="A", event_id="e1"),
        room.sale(tracking=Tracking(click_id="c1")),
        room.sale(order="HP2", tracking=Tracking(click_id="unknown")),
    )


async def test_everything_of_a_person_goes_after_the_tenants_days(room: Room) -> None:
    room.plan(limits=room.plans.snapshot.tenants["loja"].limits.__class__(retention_days=30))
    await _fill(room)
    before = await _counts(room)
    assert all(before.values())
    await purge(room.database, now=NOW + timedelta(days=29))
    assert await _counts(room) == before
    await purge(room.database, now=NOW + timedelta(days=31))
    assert await _counts(room) == dict.fromkeys(PERSONAL, 0)


async def test_an_order_stays_as_an_amount_for_a_year(room: Room) -> None:
    await _fill(room)
    [before] = await room.rows("select count(*), sum(amount) from conversions")
    await purge(room.database, now=NOW + timedelta(days=91))
    found = await room.rows("select * from conversions")
    assert {"count": len(found), "sum": sum(row["amount"] for row in found)} == before
    assert all(value not in str(found) for value in ("HP1", "HP2", EMAIL, "c1"))
    again = room.sale(at=1)
    await room.deliver(again)  # the order comes back: it is another row, and no second purchase
    assert await room.outcome(again) == ("withheld", "duplicate")
    await purge(room.database, now=NOW + timedelta(days=13 * 31 + 5))
    assert await room.rows("select id from conversions") == []


async def test_the_claim_of_a_purchase_outlives_its_data_and_loses_its_order(room: Room) -> None:
    await _fill(room)
    late = datetime.now(UTC) + timedelta(days=4000)
    await purge(room.database, now=late)
    clear = {"Purchase:hotmart:HP1", "Purchase:hotmart:HP2"}
    hashed = {
        "sha256:" + hashlib.sha256(f"loja|Purchase:hotmart:{order}".encode()).hexdigest()
        for order in ("HP1", "HP2")
    }
    assert await _claims(room) == clear | hashed  # a batch that is under way finds one of the two
    first = room.sale(at=1)
    await room.deliver(first)
    assert await room.outcome(first) == ("withheld", "duplicate")
    await purge(room.database, now=late + timedelta(hours=1))
    assert await _claims(room) == hashed
    second = room.sale(at=2)
    await room.deliver(second)
    assert await room.outcome(second) == ("withheld", "duplicate")
    assert await _claims(room) == hashed


async def _claims(room: Room) -> set[str]:
    query = "select event_id from dedupe_registry where expires_at is null"
    return {row["event_id"] for row in await room.rows(query)}
