"""A click that arrives after its sale still counts: for the report always, for Meta where nothing
was sent yet.
"""

from __future__ import annotations

import pytest

from sinal_crds.plan import ConsentPlan
from sinal_hub.model.events import UserData
from sinal_hub.model.sale import Client, Customer, Tracking

from tests.support.fix_matching import AGENT, EMAIL, Room

FBP = "fb.1.1700000000000.1234567890"


async def test_a_dropped_sale_is_sent_when_its_click_arrives(room: Room) -> None:
    room.matching(unmatched="Drop")
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "unmatched")
    await room.deliver(room.visit(click_id="c1", fbp=FBP))
    assert await room.match(sale) == ("match", "click_id", 1.0, "c1")
    assert await room.outcome(sale) == ("in_flight", None)
    [(name, payload)] = await room.sent()
    assert (name, payload["user_data"]["fbp"]) == ("Purchase", FBP)
    assert len(room.bus.messages) == 1


async def test_a_sale_that_was_sent_only_changes_its_attribution(room: Room) -> None:
    sale = room.sale()
    await room.deliver(sale)
    assert (await room.match(sale))[0] == "unmatched"
    await room.deliver(room.visit("lead", click_id="c1", fbclid="IwAR", user=UserData(em=[EMAIL])))
    assert await room.match(sale) == ("match", "email", 1.0, "c1")
    assert [name for name, _ in await room.sent()].count("Purchase") == 1
    [row] = await room.rows("select revision from matches")
    assert row["revision"] == 1


@pytest.mark.parametrize("unmatched", ["Send", "Drop"])
async def test_a_waiting_sale_is_in_flight_and_goes_with_its_click(
    room: Room, unmatched: str
) -> None:
    room.matching(wait_for_click_s=600, unmatched=unmatched)
    sale = room.sale(tracking=Tracking(fbp=FBP))
    await room.deliver(sale)
    assert await room.outcome(sale) == ("in_flight", None)
    assert await room.sent() == []
    await room.deliver(room.visit(click_id="c1", fbp=FBP, fbclid="IwAR"))
    assert await room.match(sale) == ("match", "fbp", 0.95, "c1")
    [(_, payload)] = await room.sent()
    assert payload["user_data"]["fbp"] == FBP


@pytest.mark.parametrize(
    ("unmatched", "outcome"), [("Send", ("in_flight", None)), ("Drop", ("withheld", "unmatched"))]
)
async def test_when_the_wait_is_over_the_policy_applies(
    room: Room, unmatched: str, outcome: tuple[str, str | None]
) -> None:
    room.matching(wait_for_click_s=600, unmatched=unmatched)
    sale = room.sale()
    await room.deliver(sale)
    room.pass_time(seconds=599)
    await room.worker.sweep()
    assert await room.sent() == []
    room.pass_time(seconds=2)
    await room.worker.sweep()
    assert await room.outcome(sale) == outcome
    assert len(await room.sent()) == len(room.bus.messages) == (1 if unmatched == "Send" else 0)
    assert (
        await room.rows(
            "select id from conversions where hold_until is not null or recheck_at is not null"
        )
        == []
    )


async def test_a_click_after_the_wait_still_rescues_a_dropped_sale(room: Room) -> None:
    room.matching(wait_for_click_s=60, unmatched="Drop")
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(sale)
    room.pass_time(seconds=61)
    await room.worker.sweep()
    assert await room.outcome(sale) == ("withheld", "unmatched")
    await room.deliver(room.visit(click_id="c1"))
    assert await room.outcome(sale) == ("in_flight", None)


async def test_a_visit_that_does_not_fit_leaves_a_dropped_sale_dropped(room: Room) -> None:
    room.matching(wait_for_click_s=60, unmatched="Drop")
    sale = room.sale(client=Client(ip="177.10.20.30", user_agent=AGENT))
    await room.deliver(sale)
    room.pass_time(seconds=61)
    await room.worker.sweep()
    await room.deliver(
        room.visit(click_id="c1", ip="177.10.20.30", user_agent="Other/1.0", at=-300)
    )
    assert await room.outcome(sale) == ("withheld", "unmatched")


async def test_all_events_of_a_waiting_order_go_together(room: Room) -> None:
    room.matching(wait_for_click_s=600)
    await room.deliver(room.sale("pending", tracking=Tracking(click_id="c1")))
    await room.deliver(room.sale("approved", at=1))
    assert await room.sent() == []
    await room.deliver(room.visit(click_id="c1", fbp=FBP))
    sent = await room.sent()
    assert [name for name, _ in sent] == ["AddPaymentInfo", "Purchase"]
    assert {payload["user_data"]["fbp"] for _, payload in sent} == {FBP}


async def test_a_late_click_brings_the_consent_that_was_missing(room: Room) -> None:
    room.funnel(consent=ConsentPlan(default="Denied"))
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "no_consent")
    await room.deliver(room.visit(click_id="c1", consent_ads=True))
    assert await room.outcome(sale) == ("in_flight", None)


async def test_a_click_stored_at_the_same_moment_is_found_by_the_second_look(room: Room) -> None:
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(sale)
    # Another worker's click, committed after the sale looked and before the sale was there to be
    # opened again.
    await room.rows(
        "insert into clicks (ts, tenant_id, funnel, click_id, from_ad, last_seen_at) "
        "values (now() - interval '1 minute', 'loja', 'curso', 'c1', true, now()) returning id"
    )
    room.pass_time(seconds=6)
    await room.worker.sweep()
    assert await room.match(sale) == ("match", "click_id", 1.0, "c1")


async def test_keys_of_old_unmatched_orders_are_forgotten(room: Room) -> None:
    await room.deliver(room.sale())
    assert await room.rows("select key from open_orders") != []
    room.pass_time(days=9)
    await room.worker.sweep()
    assert await room.rows("select key from open_orders") == []


async def test_a_matched_order_is_not_opened_again(room: Room) -> None:
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(sale)
    await room.deliver(room.visit(click_id="c1"))
    assert await room.rows("select key from open_orders") == []
    await room.deliver(room.visit(click_id="c1", at=-1))
    assert await room.match(sale) == ("match", "click_id", 1.0, "c1")


async def test_orders_of_a_removed_funnel_stop_waiting(room: Room) -> None:
    room.matching(wait_for_click_s=60)
    sale = room.sale()
    await room.deliver(sale)
    room.plan(funnels=())
    room.pass_time(seconds=61)
    await room.worker.sweep()
    assert await room.outcome(sale) == ("withheld", "policy")
    assert await room.rows("select id from conversions where hold_until is not null") == []


async def test_one_sweep_releases_a_burst_of_waiting_orders(room: Room) -> None:
    room.matching(wait_for_click_s=60)
    await room.deliver(
        *(room.sale(order=f"O{n}", customer=Customer(em=[f"{n:064x}"])) for n in range(450))
    )
    room.pass_time(seconds=61)
    await room.worker.sweep()
    assert len(await room.sent()) == len(room.bus.messages) == 450
