"""What becomes of a sale: matched or not, sent once or withheld with its reason, whatever sequence
it arrives in.
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from sinal_core.nats.lane import match_lane
from sinal_core.outbox.messages import Pointer, decode
from sinal_crds.plan import ConsentPlan, DestinationPlan, ValuePlan
from sinal_hub.model.events import Event, UserData, meta_event_id
from sinal_hub.model.sale import Client, Customer, Product, Tracking

from tests.support.fix_matching import AGENT, BUYER, EMAIL, PHONE, Room

ACK, NAK, TERM = b"+ACK", b"-NAK", b"+TERM"


async def test_a_sale_with_our_click_id_is_matched_and_sent_with_the_click(room: Room) -> None:
    fbc = f"fb.1.{room.ms(-10)}.AbC"
    click = room.visit(
        click_id="c1", fbc=fbc, fbp=f"fb.1.{room.ms(-10)}.1234567890", ip="177.10.20.30"
    )
    sale = room.sale(tracking=Tracking(click_id="c1"))
    assert await room.deliver(click) == [ACK]
    assert await room.deliver(sale) == [ACK]
    assert await room.match(sale) == ("match", "click_id", 1.0, "c1")
    [(name, payload)] = await room.sent()
    assert (name, payload["user_data"]["fbc"], payload["user_data"]["em"]) == (
        "Purchase",
        fbc,
        [EMAIL],
    )
    assert payload["user_data"]["client_ip_address"] == "177.10.20.30"
    assert payload["event_id"] == meta_event_id("loja", "HP1", "Purchase", "297.00", "BRL")
    assert await room.outcome(sale) == ("in_flight", None)
    assert await room.outcome(click) == ("withheld", "policy")


async def test_the_outbox_names_row_destination_and_generation(room: Room) -> None:
    await room.deliver(room.sale())
    [row] = await room.rows("select id, created_at, event_id, published_at from capi_events")
    [(msg_id, message)] = room.bus.messages.items()
    assert msg_id == f"{row['event_id']}:pixel:0"
    assert message.subject == "t.loja.out.pixel"
    assert decode(message.body) == Pointer(
        id=row["id"], created_at=round(row["created_at"].timestamp() * 1000)
    )
    assert row["created_at"].microsecond % 1000 == 0
    assert row["published_at"] is not None


async def test_a_repeated_delivery_is_counted_and_does_nothing_else(room: Room) -> None:
    sale = room.sale()
    assert await room.deliver(sale, sale) == [ACK, ACK]
    later = msgspec.structs.replace(sale, received_at=sale.received_at + 86_400_000)
    assert await room.deliver(later) == [ACK]
    assert [row["repeats"] for row in await room.rows("select repeats from events")] == [2]
    assert len(await room.sent()) == 1


async def test_a_refused_order_that_is_approved_later_is_a_purchase(room: Room) -> None:
    refused, approved = room.sale("refused"), room.sale("approved", at=5)
    await room.deliver(refused)
    await room.deliver(approved)
    assert await room.outcome(refused) == ("withheld", "policy")
    assert [name for name, _ in await room.sent()] == ["Purchase"]
    [order] = await room.rows("select status, amount from conversions")
    assert (order["status"], str(order["amount"])) == ("approved", "297.00")


async def test_a_refund_after_the_approval_moves_the_order_and_sends_nothing(room: Room) -> None:
    refund = room.sale("refunded", at=60)
    await room.deliver(room.sale("approved"), refund)
    assert await room.outcome(refund) == ("withheld", "policy")
    assert [row["status"] for row in await room.rows("select status from conversions")] == [
        "refunded"
    ]
    assert len(await room.sent()) == 1


async def test_an_approval_that_arrives_after_its_refund_is_out_of_order(room: Room) -> None:
    approved = room.sale("approved")
    await room.deliver(room.sale("refunded", at=60))
    await room.deliver(approved)
    assert await room.outcome(approved) == ("withheld", "out_of_order")
    assert await room.sent() == []
    assert [row["status"] for row in await room.rows("select status from conversions")] == [
        "refunded"
    ]


async def test_an_approval_that_its_completion_overtook_is_still_the_one_purchase(
    room: Room,
) -> None:
    approved, again = room.sale("approved"), room.sale("approved", at=1, value="300.00")
    await room.deliver(room.sale("completed", at=60))
    await room.deliver(approved)
    await room.deliver(again)
    assert len(await room.sent()) == 1
    assert await room.outcome(again) == ("withheld", "duplicate")
    assert [row["status"] for row in await room.rows("select status from conversions")] == [
        "completed"
    ]


async def test_one_purchase_an_order_whatever_value_arrives_later(room: Room) -> None:
    second = room.sale("approved", at=1, value="300.00")
    await room.deliver(room.sale("approved"))
    await room.deliver(second)
    assert await room.outcome(second) == ("withheld", "duplicate")
    assert len(await room.sent()) == 1


async def test_the_same_order_id_at_another_gateway_is_another_order(room: Room) -> None:
    first = room.sale()
    assert first.sale is not None
    other = msgspec.structs.replace(
        first,
        id="ev_kiwify",
        key="kiwify:1",
        sale=msgspec.structs.replace(first.sale, gateway="kiwify"),
    )
    await room.deliver(first, other)
    assert len(await room.sent()) == 2


async def test_concurrent_workers_on_one_order_give_one_purchase(room: Room) -> None:
    sales = [room.sale("approved", at=n / 60) for n in range(12)]
    await asyncio.gather(
        *(room.worker.handle(match_lane("loja"), [room.message(sale)]) for sale in sales)
    )
    assert len(await room.sent()) == 1
    outcomes = sorted([await room.outcome(sale) for sale in sales], key=str)
    assert outcomes.count(("withheld", "duplicate")) == 11


async def test_pending_then_approved_are_two_meta_events_of_one_order(room: Room) -> None:
    await room.deliver(room.sale("pending"), room.sale("approved", at=3))
    assert [name for name, _ in await room.sent()] == ["AddPaymentInfo", "Purchase"]
    assert len(await room.rows("select id from conversions")) == 1


@pytest.mark.parametrize(
    ("sale", "reason"),
    [
        ({"test": True}, "test"),
        ({"status": "ignored"}, "ignored"),
        ({"status": "subscription_canceled"}, "policy"),
        ({"consent": False}, "no_consent"),
    ],
)
async def test_what_is_not_sent_says_why(room: Room, sale: dict[str, object], reason: str) -> None:
    event = room.sale(**sale)  # type: ignore[arg-type]
    await room.deliver(event)
    assert await room.outcome(event) == ("withheld", reason)
    assert await room.sent() == []


async def test_a_test_sale_touches_no_order(room: Room) -> None:
    await room.deliver(room.sale("refunded", test=True))
    await room.deliver(room.sale("approved"))
    assert len(await room.sent()) == 1


async def test_a_suspended_tenant_records_and_sends_nothing(room: Room) -> None:
    room.plan(suspended=True)
    sale = room.sale()
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "suspended")


async def test_a_funnel_without_destination_says_so(room: Room) -> None:
    room.funnel(destinations=("gone",))
    sale = room.sale()
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "no_destination")


async def test_a_refund_that_names_no_product_reaches_its_order_and_no_order_of_another_integration(
    room: Room,
) -> None:
    integration = room.plans.snapshot.tenants["loja"].integrations[0]
    room.plan(
        integrations=(
            msgspec.structs.replace(integration, products=("1", "2")),
            msgspec.structs.replace(integration, name="hotmart-outra", products=("3",)),
        )
    )
    ours = room.sale(products=[Product(id="2")])
    theirs = msgspec.structs.replace(
        room.sale(order="HP2", products=[Product(id="3")]), integration="hotmart-outra"
    )
    refunds = [
        room.sale("refunded", order=order, at=5, products=[]) for order in ("HP1", "HP2", "HP3")
    ]
    await room.deliver(ours, theirs, refunds[0])
    await room.deliver(*refunds[1:], room.sale(order="HP4", products=[]))
    found = await room.rows(
        "select order_id, status, integration from conversions order by order_id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("HP1", "refunded", "hotmart-principal"),
        ("HP2", "approved", "hotmart-outra"),
    ]
    assert [await room.outcome(refund) for refund in refunds[1:]] == [("withheld", "policy")] * 2


async def test_products_of_another_funnel_are_left_alone(room: Room) -> None:
    [integration] = room.plans.snapshot.tenants["loja"].integrations
    room.plan(integrations=(msgspec.structs.replace(integration, products=("1", "2")),))
    ours, theirs = (
        room.sale(products=[Product(id="2")]),
        room.sale(order="HP2", products=[Product(id="3")]),
    )
    await room.deliver(ours, theirs)
    assert await room.outcome(ours) == ("in_flight", None)
    assert await room.outcome(theirs) == ("withheld", "policy")


async def test_renewals_are_sent_unless_the_funnel_says_no(room: Room) -> None:
    room.funnel(send_renewals=False)
    renewal = room.sale(renewal=True)
    await room.deliver(renewal)
    assert await room.outcome(renewal) == ("withheld", "policy")
    room.funnel(send_renewals=True)
    second = room.sale(renewal=True, order="HP2")
    await room.deliver(second)
    [(_, payload)] = await room.sent()
    assert payload["custom_data"]["renewal"] is True


async def test_a_buyer_nobody_could_recognise_is_withheld(room: Room) -> None:
    sale = room.sale(customer=Customer())
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "unidentifiable")


async def test_every_destination_gets_its_row_under_one_id(room: Room) -> None:
    second = DestinationPlan(name="segundo", pixel_id="987", access_token="t")
    room.plan(destinations=(*room.plans.snapshot.tenants["loja"].destinations, second))
    room.funnel(destinations=("pixel", "segundo"))
    await room.deliver(room.sale())
    rows = await room.rows("select destination, event_id from capi_events order by destination")
    assert [row["destination"] for row in rows] == ["pixel", "segundo"]
    assert len({row["event_id"] for row in rows}) == 1
    assert {message.subject for message in room.bus.messages.values()} == {
        "t.loja.out.pixel",
        "t.loja.out.segundo",
    }


async def test_the_value_rule_changes_what_meta_sees_and_not_the_id(room: Room) -> None:
    room.funnel(value=ValuePlan(multiplier="0.3"))
    await room.deliver(room.sale())
    [(_, payload)] = await room.sent()
    assert payload["custom_data"]["value"] == 89.1
    assert payload["event_id"] == meta_event_id("loja", "HP1", "Purchase", "297.00", "BRL")


async def test_the_clicks_consent_counts_for_a_sale_that_says_nothing(room: Room) -> None:
    refusal = room.visit(click_id="c1", consent_ads=False)
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(refusal, sale)
    assert await room.outcome(sale) == ("withheld", "no_consent")


async def test_without_any_word_the_funnels_default_decides(room: Room) -> None:
    room.funnel(consent=ConsentPlan(default="Denied"))
    silent = room.sale()
    granted = room.sale(order="HP2", consent=True)
    click = room.visit(click_id="c3", consent_ads=True)
    through_click = room.sale(
        order="HP3", tracking=Tracking(click_id="c3"), customer=Customer(em=[PHONE])
    )
    await room.deliver(click, silent, granted, through_click)
    assert await room.outcome(silent) == ("withheld", "no_consent")
    assert await room.outcome(granted) == ("in_flight", None)
    assert await room.outcome(through_click) == ("in_flight", None)


async def test_an_email_seen_with_a_click_in_the_window_is_certain(room: Room) -> None:
    lead = room.visit("lead", at=-60, click_id="c1", fbclid="IwAR1", user=UserData(em=[EMAIL]))
    sale = room.sale()
    await room.deliver(lead, sale)
    assert await room.match(sale) == ("match", "email", 1.0, "c1")


async def test_a_click_before_the_window_is_no_match(room: Room) -> None:
    lead = room.visit(
        "lead", at=-8 * 1440, click_id="c1", fbclid="IwAR1", user=UserData(em=[EMAIL])
    )
    sale = room.sale()
    await room.deliver(lead, sale)
    assert (await room.match(sale))[0] == "unmatched"


async def test_address_and_browser_shortly_before_are_a_match(room: Room) -> None:
    sale = room.sale(client=Client(ip="177.10.20.30", user_agent=AGENT))
    await room.deliver(room.visit(click_id="c1", ip="177.10.20.30"), sale)
    assert await room.match(sale) == ("match", "ip_user_agent", 0.85, "c1")


async def test_several_visitors_of_one_address_are_no_match(room: Room) -> None:
    room.matching(unmatched="Send")
    visits = [room.visit(click_id=f"c{n}", ip="177.10.20.30", at=-10 - n) for n in range(3)]
    sale = room.sale(client=Client(ip="177.10.20.30", user_agent=AGENT))
    await room.deliver(*visits, sale)
    decision, _, score, _ = await room.match(sale)
    assert (decision, score < 0.6) == ("unmatched", True)
    [(name, payload)] = [pair for pair in await room.sent() if pair[0] == "Purchase"]
    assert name == "Purchase"
    assert "fbp" not in payload["user_data"]
    detail = await room.reader.get_event("loja", sale.id)
    assert detail is not None and detail.match is not None
    assert detail.match.runner_up is not None


async def test_a_buyers_next_order_finds_the_click_of_the_first(room: Room) -> None:
    first = room.sale(tracking=Tracking(click_id="c1"))
    upsell = room.sale(order="HP2", at=4)
    await room.deliver(room.visit(click_id="c1"), first)
    await room.deliver(upsell)
    assert await room.match(upsell) == ("match", "email", 1.0, "c1")


async def test_review_is_held_or_sent_as_the_funnel_says(room: Room) -> None:
    room.matching(review="Hold", match_threshold=0.99)
    held = room.sale(tracking=Tracking(fbclid="IwAR1"))
    await room.deliver(room.visit(click_id="c1", fbclid="IwAR1", fbp="fb.1.1700000000000.1"), held)
    assert await room.match(held) == ("review", "fbclid", 0.95, "c1")
    assert await room.outcome(held) == ("withheld", "review")
    room.matching(review="Send", match_threshold=0.99)
    sent = room.sale(order="HP2", tracking=Tracking(fbclid="IwAR1"), customer=Customer(em=[PHONE]))
    await room.deliver(sent)
    [(_, payload)] = await room.sent()
    assert payload["user_data"]["fbp"] == "fb.1.1700000000000.1"


async def test_tracking_events_with_a_meta_name_are_sent_under_the_browsers_id(room: Room) -> None:
    first = room.visit("lead", event_id="abc-1", user=UserData(em=[EMAIL]))
    again = room.visit("lead", event_id="abc-1", user=UserData(em=[EMAIL]))
    own = room.visit("lead", user=UserData(em=[EMAIL]))
    await room.deliver(first, again, own)
    assert [payload["event_id"] for _, payload in await room.sent()] == ["abc-1", own.id]
    assert await room.outcome(again) == ("withheld", "duplicate")


async def test_many_orders_in_one_batch(room: Room) -> None:
    buyers = [Customer(em=[f"{n:064x}"]) for n in range(60)]
    events: list[Event] = []
    for n, buyer in enumerate(buyers):
        events.append(room.visit(click_id=f"c{n}", fbclid=f"F{n}", ip=f"177.10.20.{n}", at=-30))
        events.append(room.sale(order=f"O{n}", customer=buyer, tracking=Tracking(click_id=f"c{n}")))
    assert await room.deliver(*events) == [ACK] * 120
    assert len(await room.sent()) == 60
    matched = await room.rows("select click_id from matches where decision = 'match'")
    assert {row["click_id"] for row in matched} == {f"c{n}" for n in range(60)}
    assert BUYER.em == [EMAIL]
