"""The check of the ledger finds what does not add up, names it, and is silent about what does."""

from __future__ import annotations

import time

import pytest

from sinal_core.outbox.ledger import Ref, Result
from sinal_core.telemetry import metrics
from sinal_hub.model.sale import Tracking
from sinal_hub.status.ledger import LedgerCheck
from sinal_hub.store.delivery import DeliveryStore
from sinal_hub.store.housekeeping import HousekeepingStore

from tests.support.fix_matching import Room

BREAKS = {
    "sent_without_delivery": "delete from capi_events",
    "delivered_without_attempt": "delete from dispatch_attempts",
    "attempt_without_delivery": "update capi_events set status = 'withheld', reason = 'policy'",
    "attempt_left_open": "update dispatch_attempts set outcome = null",
    "dead_without_letter": "update capi_events set status = 'dead', reason = 'rejected'; delete "
    "from dispatch_attempts",
    "waiting_without_end": "update events set outcome = 'waiting' where kind = 'sale'; delete from "
    "capi_events; "
    "delete from dispatch_attempts",
    "sending_without_attempt": "update capi_events set status = 'sending'; delete from "
    "dispatch_attempts",
    "unfinished_after_its_time": "update capi_events set status = 'pending', settled_at = null, "
    "created_at = created_at - interval '8 days'; delete from dispatch_attempts",
}


@pytest.fixture
async def check(room: Room) -> LedgerCheck:
    """A check without grace, over a click and a delivered sale."""
    await room.deliver(room.visit(click_id="c1"), room.sale(tracking=Tracking(click_id="c1")))
    [row] = await room.rows("select id, created_at from capi_events")
    store = DeliveryStore(room.database)
    claim = await store.claim(
        "loja", "pixel", [Ref(row["id"], round(row["created_at"].timestamp() * 1000))], lease_s=30
    )
    delivered = [Result(row=one, outcome="delivered", status="delivered") for one in claim.rows]
    assert await store.settle("loja", delivered, request=claim.request)
    return LedgerCheck(HousekeepingStore(room.database), room.plans, grace_s=-1)


def difference() -> float:
    return float(metrics.LEDGER_DIFFERENCE.labels("loja")._value.get())


async def test_a_ledger_that_adds_up_shows_nothing(room: Room, check: LedgerCheck) -> None:
    assert await check.check() == []
    assert difference() == 0
    ledger = await room.reader.ledger("loja")
    assert (
        ledger.accepted == ledger.delivered + ledger.withheld + ledger.dead + ledger.in_flight == 2
    )


@pytest.mark.parametrize(("fault", "damage"), BREAKS.items())
async def test_damage_is_found_and_named(
    room: Room, check: LedgerCheck, fault: str, damage: str
) -> None:
    async with room.database.transaction() as connection:
        for statement in damage.split("; "):
            await connection.execute(statement.strip("; ").encode())
    found = {one.fault: one for one in await check.check()}
    sale = (await room.rows("select id from events where kind = 'sale'"))[0]["id"]
    assert fault in found
    assert found[fault].examples == [sale] and found[fault].tenant == "loja"
    assert difference() >= 1


async def test_what_is_under_way_is_no_difference(room: Room) -> None:
    check = LedgerCheck(HousekeepingStore(room.database), room.plans)
    await room.deliver(room.sale(), room.sale("lead", order="HP2"))
    assert await check.check() == []


async def test_a_difference_that_another_replica_finds_mended_is_shown_no_longer(
    room: Room, check: LedgerCheck
) -> None:
    """Alerts take the largest of what all replicas show."""
    async with room.database.transaction() as connection:
        await connection.execute(b"delete from capi_events")
    await check.check()
    found = time.time()
    for last in (None, found - 900, found + 1):  # nobody, the round before, this round
        check.observe(last)
        assert difference() >= 1
    check.observe(found + 900)
    assert difference() == 0
