"""Each tenant's data goes when that tenant's time is over; what must last for ever stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sinal_runtime.gateways.sale import Tracking
from sinal_runtime.store.retention import purge

from tests.support.fix_matching import NOW, Room

PERSONAL = ("events", "clicks", "sessions", "identities", "conversions", "matches", "open_orders", "capi_events")


async def _counts(room: Room) -> dict[str, int]:
    return {
        table: (await room.rows(f"select count(*) as n from {table} where tenant_id = 'loja'"))[0]["n"]
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


async def test_the_claim_of_a_purchase_outlives_its_data(room: Room) -> None:
    await _fill(room)
    await purge(room.database, now=datetime.now(UTC) + timedelta(days=4000))
    claims = {row["event_id"] for row in await room.rows("select event_id from dedupe_registry")}
    assert claims == {"Purchase:hotmart:HP1", "Purchase:hotmart:HP2"}
    again = room.sale(at=1)
    await room.deliver(again)
    assert await room.outcome(again) == ("withheld", "duplicate")
