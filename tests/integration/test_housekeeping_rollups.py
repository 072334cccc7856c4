"""Rollups say what the events say, however often they are made, and go on saying it when the events
are gone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sinal_core.postgres import queries
from sinal_hub.model.sale import Customer, Tracking
from sinal_hub.store.retention import purge
from sinal_hub.store.rollups import roll_up

from tests.support.fix_matching import EMAIL, NOW, PHONE, Room

ZONES = {"loja": "America/Sao_Paulo"}
COUNTED = """
select kind, status, outcome, reason, rule, sum(events)::int as events
from rollups where grain = %s group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""
ORDERS = (
    "select status, currency, orders, value::text as value from conversion_rollups where "
    "grain = %s order by 1"
)


async def counted(room: Room, grain: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await room.rows(COUNTED, grain)]


async def fill(room: Room) -> None:
    await room.deliver(
        room.visit("click", click_id="c1"),
        room.visit("lead", click_id="c2", ip="198.51.100.9", user_agent="other", consent_ads=False),
        room.sale(tracking=Tracking(click_id="c1")),
        room.sale("pending", order="HP2", value="50.00", customer=Customer(ph=[PHONE]), at=2),
    )


async def test_hours_and_days_count_events_by_how_they_ended(room: Room) -> None:
    await fill(room)
    await roll_up(room.database, since=None, zones=ZONES)
    found = await counted(room, "hour")
    assert found == [
        ("click", "", "withheld", "policy", "", 1),
        ("lead", "", "withheld", "no_consent", "", 1),
        ("sale", "approved", "in_flight", "", "click_id", 1),
        ("sale", "pending", "in_flight", "", "none", 1),
    ]
    assert await counted(room, "day") == found


async def test_a_second_run_and_an_overlapping_one_change_nothing(room: Room) -> None:
    await fill(room)
    await roll_up(room.database, since=None, zones=ZONES)
    before = await room.rows("select * from rollups order by 1, 2, 3, 4, 5, 6, 7, 8, 9")
    orders = await room.rows("select * from conversion_rollups order by 1, 2, 3, 4, 5, 6, 7")
    for since in (None, datetime.now(UTC) - timedelta(minutes=1)):
        await roll_up(room.database, since=since, zones=ZONES)
        assert await room.rows("select * from rollups order by 1, 2, 3, 4, 5, 6, 7, 8, 9") == before
        assert (
            await room.rows("select * from conversion_rollups order by 1, 2, 3, 4, 5, 6, 7")
            == orders
        )


async def test_a_delivery_that_ends_later_moves_its_event(room: Room) -> None:
    await fill(room)
    await roll_up(room.database, since=None, zones=ZONES)
    await room.rows("update capi_events set status = 'delivered', settled_at = now() returning id")
    await roll_up(room.database, since=datetime.now(UTC), zones=ZONES)
    for grain in ("hour", "day"):
        outcomes = {(row[0], row[1]): row[2] for row in await counted(room, grain)}
        assert outcomes["sale", "approved"] == outcomes["sale", "pending"] == "delivered"


async def test_orders_are_counted_once_in_their_newest_state(room: Room) -> None:
    await fill(room)
    await roll_up(room.database, since=None, zones=ZONES)
    await room.deliver(room.sale("refunded", at=1), room.sale("pending", at=-180))
    await roll_up(room.database, since=datetime.now(UTC), zones=ZONES)
    for grain in ("hour", "day"):
        found = [tuple(row.values()) for row in await room.rows(ORDERS, grain)]
        assert found == [("pending", "BRL", 1, "50.00"), ("refunded", "BRL", 1, "297.00")]


async def test_a_day_is_the_tenants_own(room: Room) -> None:
    # 00:00 in São Paulo
    midnight = NOW.astimezone(UTC).replace(hour=3, minute=0, second=0) - timedelta(days=1)
    minutes = (midnight - NOW).total_seconds() / 60
    await room.deliver(room.visit(at=minutes - 30), room.visit(at=minutes + 30))
    await roll_up(room.database, since=None, zones=ZONES)
    days = await room.rows("select bucket, events from rollups where grain = 'day' order by bucket")
    assert [(row["bucket"], row["events"]) for row in days] == [
        (midnight - timedelta(days=1), 1),
        (midnight, 1),
    ]


async def test_rollups_outlive_events_by_a_year_and_hold_nobody(room: Room) -> None:
    await fill(room)
    await roll_up(room.database, since=None, zones=ZONES)
    before = await counted(room, "day")
    await purge(room.database, now=NOW + timedelta(days=120))
    await roll_up(room.database, since=None, zones=ZONES)
    assert await room.rows("select id from events") == []
    assert await counted(room, "day") == before
    texts = str(await room.rows("select * from rollups")) + str(
        await room.rows("select * from conversion_rollups")
    )
    assert all(value not in texts for value in (EMAIL, "c1", "HP1", "HP2", "203.0.113.7"))
    await purge(room.database, now=NOW + timedelta(days=13 * 31 + 5))
    assert (
        await room.rows("select bucket from rollups union select bucket from conversion_rollups")
        == []
    )


MANY_MORE = """
insert into events select (jsonb_populate_record(e, jsonb_build_object(
    'id', 'copy-' || g, 'conversion_id', case when g %% 17 = 0 then e.conversion_id end))).*
from events e, generate_series(1, 20000) g
where e.id = (select id from events where conversion_id is not null limit 1)
returning 1 as one
"""


async def test_orders_are_looked_up_by_their_conversion_before_a_table_is_analysed_too(
    room: Room,
) -> None:
    """By tenant, 1,800 orders among 30,000 events took 3.4 s of a core at each run, and four times
    that for twice.
    """
    await fill(room)
    await room.rows(MANY_MORE)
    statement = queries.load("sinal_hub.store", "rollups")["changed_order_hours"].decode()
    plan = await room.rows(
        "explain " + statement.replace("%(since)s", "now() - interval '12 minutes'")
    )
    lines = [line for row in plan for line in row.values()]
    assert any("_conversion_id_idx" in line for line in lines)
    assert not [line for line in lines if "Index Cond" in line and "tenant_id" in line]
