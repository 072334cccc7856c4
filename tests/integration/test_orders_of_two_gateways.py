"""Short order numbers repeat between gateways: two orders, each with its own state, Purchase and id
at Meta.
"""

from __future__ import annotations

from sinal_hub.model.events import meta_event_id

from tests.support.fix_matching import Room


async def test_one_number_and_value_of_two_gateways_are_two_purchases(room: Room) -> None:
    first, second = (
        room.sale(order="1001", gateway="monetizze"),
        room.sale(order="1001", gateway="eduzz"),
    )
    await room.deliver(first)
    await room.deliver(second)
    ids = [payload["event_id"] for name, payload in await room.sent() if name == "Purchase"]
    assert len(ids) == len(set(ids)) == 2, "Meta takes events of one id for one"
    assert ids[0] == meta_event_id("loja", "1001", "Purchase", "297.00", "BRL"), (
        "what a page computes"
    )
    assert [await room.outcome(sale) for sale in (first, second)] == [("in_flight", None)] * 2
    assert len(await room.rows("select id from conversions")) == 2


async def test_so_it_is_in_one_batch_and_of_events_that_are_no_purchase(room: Room) -> None:
    carts = [
        room.sale("initiate_checkout", order="1001", gateway=gateway)
        for gateway in ("monetizze", "eduzz", "kirvano")
    ]
    await room.deliver(*carts)
    ids = [payload["event_id"] for name, payload in await room.sent() if name == "InitiateCheckout"]
    assert len(ids) == len(set(ids)) == 3
    assert [await room.outcome(cart) for cart in carts] == [("in_flight", None)] * 3


async def test_a_refund_of_one_leaves_the_other_alone(room: Room) -> None:
    await room.deliver(
        room.sale(order="1001", gateway="monetizze"), room.sale(order="1001", gateway="eduzz")
    )
    await room.deliver(room.sale("refunded", order="1001", gateway="eduzz", at=5))
    rows = await room.rows("select gateway, status from conversions order by gateway")
    assert [(row["gateway"], row["status"]) for row in rows] == [
        ("eduzz", "refunded"),
        ("monetizze", "approved"),
    ]


async def test_a_repeat_has_the_same_id_as_the_first(room: Room) -> None:
    await room.deliver(room.sale(order="1001", gateway="monetizze"))
    await room.deliver(room.sale(order="1001", gateway="eduzz", key="eduzz:1001:approved"))
    await room.deliver(
        room.sale("completed", order="1001", gateway="eduzz", at=5),
        room.sale(order="1001", gateway="eduzz"),
    )
    assert len([name for name, _ in await room.sent() if name == "Purchase"]) == 2
