"""Nothing accepted is lost and nothing goes out twice, whatever breaks between commit, broker and
ack.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from sinal_core.nats.lane import match_lane
from sinal_crds import names
from sinal_hub.model.events import Event, UserData
from sinal_hub.model.sale import Customer, Tracking

from tests.support.fix_matching import EMAIL, PHONE, Room, Settlements

ACK, NAK, TERM = b"+ACK", b"-NAK", b"+TERM"


async def test_a_crash_between_commit_and_publish_is_made_good_by_the_redelivery(
    room: Room,
) -> None:
    sale = room.sale()
    room.bus.down = True
    assert await room.deliver(sale) == [NAK]
    assert room.bus.messages == {}
    room.bus.down = False
    assert await room.deliver(sale, deliveries=2) == [ACK]
    assert len(await room.sent()) == len(room.bus.messages) == 1
    assert await room.deliver(sale, deliveries=3) == [ACK]
    assert len(room.bus.messages) == 1


async def test_a_worker_lost_between_commit_and_publish_is_made_good_by_the_redelivery(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    sale = room.sale()
    with monkeypatch.context() as patched:
        patched.setattr(room.bus, "publish_many", lost)
        with pytest.raises(asyncio.CancelledError):
            await room.deliver(sale)
    assert len(await room.sent()) == 1
    assert room.bus.messages == {}
    assert await room.deliver(sale, deliveries=2) == [ACK]
    assert len(await room.sent()) == len(room.bus.messages) == 1


async def test_the_sweeper_publishes_what_no_message_will(room: Room) -> None:
    room.bus.down = True
    await room.deliver(room.sale())
    room.bus.down = False
    await room.worker.sweep()
    assert room.bus.messages == {}
    await room.rows(
        "update capi_events set created_at = created_at - interval '11 seconds' returning id"
    )
    await room.worker.sweep()
    assert len(room.bus.messages) == 1
    assert await room.rows("select id from capi_events where published_at is null") == []


async def test_one_poisoned_message_costs_no_other(room: Room) -> None:
    good = [room.visit("lead", user=UserData(em=[EMAIL])) for _ in range(6)]
    poison = room.visit("lead", url="https://loja.example/\x00")
    answers = await room.deliver(*good[:3], poison, *good[3:])
    assert sorted(answers) == sorted([ACK] * 6 + [NAK])
    assert len(await room.sent()) == 6
    assert await room.rows("select id from dead_letters") == []


async def test_a_message_that_keeps_failing_becomes_a_dead_letter_with_its_body(room: Room) -> None:
    poison = room.visit("lead", url="https://loja.example/\x00")
    assert await room.deliver(poison, deliveries=4) == [NAK]
    assert await room.deliver(poison, deliveries=5) == [TERM]
    [letter] = await room.rows("select * from dead_letters")
    assert (letter["stage"], letter["reason"], letter["attempts"]) == ("match", "internal_error", 5)
    assert letter["event_row"] == poison.id
    assert poison.key in letter["body"]
    assert await room.outcome(poison) == ("dead", "internal_error")


async def test_a_dead_event_that_is_played_again_lives(room: Room) -> None:
    poison = room.visit("lead", key="k", url="https://loja.example/\x00", user=UserData(em=[EMAIL]))
    await room.deliver(poison, deliveries=5)
    repaired = room.visit("lead", key="k", user=UserData(em=[EMAIL]))
    assert await room.deliver(repaired) == [ACK]
    assert await room.outcome(repaired) == ("in_flight", None)


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\x00", b'{"id": "x"}', b'{"kind": 7}'])
async def test_what_is_no_event_is_a_dead_letter_at_once(room: Room, body: bytes) -> None:
    assert await room.deliver(body, room.sale()) == [TERM, ACK]
    [letter] = await room.rows("select stage, event_row from dead_letters")
    assert (letter["stage"], letter["event_row"]) == ("match", None)


async def test_an_event_of_another_tenant_does_not_pass(room: Room) -> None:
    foreign = room.visit(tenant="outra")
    assert await room.deliver(foreign) == [TERM]
    assert await room.rows("select id from events") == []


async def test_without_a_plan_the_message_waits(room: Room) -> None:
    plan = room.plans.snapshot.tenants.pop("loja")
    sale = room.sale()
    assert await room.deliver(sale) == [NAK]
    room.plans.snapshot.tenants["loja"] = plan
    assert await room.deliver(sale) == [ACK]


async def test_postgresql_being_away_is_no_fault_of_the_message(room: Room) -> None:
    await room.database.close()
    assert await room.deliver(room.sale(), room.sale(order="HP2"), deliveries=99) == [NAK, NAK]
    assert await room.rows("select id from dead_letters") == []


async def test_the_ledger_balances_over_every_kind_of_end(room: Room) -> None:
    room.matching(wait_for_click_s=60)
    await room.deliver(
        room.sale(customer=Customer(em=[PHONE])),
        room.sale("refunded", order="HP2"),
        room.visit(click_id="c1"),
        room.visit("lead", user=UserData(em=[EMAIL])),
        b"not json",
    )
    await room.deliver(room.visit("lead", url="\x00"), deliveries=5)
    ledger = await room.reader.ledger("loja")
    assert (ledger.accepted, ledger.in_flight, ledger.withheld, ledger.dead) == (6, 2, 2, 2)
    await room.rows("update capi_events set status = 'delivered' returning id")
    ledger = await room.reader.ledger(None)
    assert (ledger.delivered, ledger.in_flight) == (1, 1)
    assert ledger.accepted == ledger.delivered + ledger.withheld + ledger.dead + ledger.in_flight
    assert (await room.reader.ledger("outra")).accepted == 0


async def test_no_secret_of_the_plan_reaches_the_database(room: Room) -> None:
    await room.deliver(room.sale())
    [tenant] = await room.rows("select id, name, plan::text as plan, status from tenants")
    [funnel] = await room.rows("select name, config_json::text as config from funnels")
    assert (tenant["id"], tenant["status"], funnel["name"]) == ("loja", "active", "curso")
    assert "secret-token" not in tenant["plan"] + funnel["config"]
    assert "0" * 64 not in funnel["config"]
    assert names.out_subject("loja", "pixel") == "t.loja.out.pixel"


async def test_overlapping_batches_of_concurrent_workers_leave_each_event_once(room: Room) -> None:
    """Same visitors, orders and deliveries in different sequences: nothing is lost, doubled or left
    locked.
    """
    events: list[Event] = []
    for n in range(12):
        click = f"c{n}"
        events += [
            room.visit("pageview", click_id=click, session_id="s", natural_key=True)
            for _ in range(3)
        ]
        events += [room.visit("lead", click_id=click, fbclid=f"F{n}", user=UserData(em=[EMAIL]))]
        events += [
            room.sale(status, order=f"O{n}", at=at, tracking=Tracking(click_id=click))
            for at, status in enumerate(("pending", "approved", "approved", "refunded"))
        ]
    waiting = [random.Random(seed).sample(events, len(events)) for seed in range(4)]

    async def work(queue: list[Event]) -> None:
        while queue:
            settlements = Settlements()
            batch, queue[:] = queue[:20], queue[20:]
            messages = [room.message(event, settlements=settlements) for event in batch]
            await room.worker.handle(match_lane("loja"), messages)
            if NAK in settlements.answers:
                queue += batch

    await asyncio.gather(*(work(queue) for queue in waiting))
    stored = await room.rows("select id, repeats from events")
    assert {row["id"] for row in stored} == {event.id for event in events}
    assert len(stored) == len(events)
    purchases = await room.rows("select event_id from capi_events where event_name = 'Purchase'")
    assert len(purchases) == len({row["event_id"] for row in purchases}) <= 12
    assert {row["status"] for row in await room.rows("select status from conversions")} == {
        "refunded"
    }
    ledger = await room.reader.ledger("loja")
    assert (ledger.accepted, ledger.dead) == (len(events), 0)
