"""One payment that its gateway tells under several ids is one order, and a first charge after a
trial is a sale.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from sinal_hub.model.events import Event
from sinal_hub.model.sale import Customer
from sinal_hub.store.retention import purge

from tests.support.fix_matching import NOW, Room

NOBODY = Customer()


def _link(room: Room, *, order: str = "in_1", name: str = "pi_1", at: float = 1) -> Event:
    """The notice that says which payment an invoice was paid with."""
    return room.sale(
        "ignored", order=order, at=at, names=[name], value=None, products=[], customer=NOBODY
    )


def _refund(room: Room, *, order: str = "pi_1", at: float = 60, **fields: Any) -> Event:
    """A refund, which knows the payment only."""
    return room.sale(
        "refunded", order=order, at=at, names=[], products=[], refunded_value="297.00", **fields
    )


async def _orders(room: Room) -> list[tuple[str, str, str]]:
    rows = await room.rows("select order_key, order_id, status from conversions order by order_key")
    return [(row["order_key"], row["order_id"], row["status"]) for row in rows]


@pytest.mark.parametrize("sequence", list(itertools.permutations(["invoice", "link", "refund"])))
@pytest.mark.parametrize("together", [True, False])
async def test_a_refund_finds_the_invoice_whatever_arrives_first(
    room: Room, sequence: tuple[str, ...], together: bool
) -> None:
    said = {
        "invoice": room.sale(order="in_1", names=[]),
        "link": _link(room),
        "refund": _refund(room),
    }
    events = [said[name] for name in sequence]
    if together:
        await room.deliver(*events)
    else:
        for event in events:
            await room.deliver(event)
    assert await _orders(room) == [("in_1", "in_1", "refunded")]
    rows = await room.rows(
        "select order_id, body ->> 'order_id' as told, conversion_id from events"
    )
    assert {(row["order_id"], row["told"]) for row in rows} == {("in_1", "in_1")}
    assert len({row["conversion_id"] for row in rows if row["conversion_id"]}) == 1
    at = sequence.index
    known = at("refund") < at("invoice") and (together or at("link") < at("invoice"))
    assert len(await room.sent()) == (0 if known else 1)


async def test_an_order_sent_under_its_payments_id_has_had_its_purchase(room: Room) -> None:
    await room.deliver(room.sale(order="pi_1"))
    again = room.sale(order="in_1", names=["pi_1"], at=5)
    await room.deliver(again)
    assert await room.outcome(again) == ("withheld", "duplicate")
    assert len(await room.sent()) == 1
    assert await _orders(room) == [("in_1", "in_1", "approved")]


async def test_a_match_of_what_was_sent_under_the_payments_id_stays(room: Room) -> None:
    await room.deliver(room.visit(click_id="c1", user={"em": room.sale().user.em}))
    await room.deliver(room.sale(order="pi_1"))
    await room.deliver(_link(room))
    [row] = await room.rows(
        "select m.click_id, c.order_key from matches m join conversions c on c.id = m.conversion_id"
    )
    assert (row["click_id"], row["order_key"]) == ("c1", "in_1")


async def test_names_of_one_gateway_are_not_another_s(room: Room) -> None:
    other = _link(room)
    assert other.sale is not None
    await room.deliver(
        msgspec.structs.replace(other, sale=msgspec.structs.replace(other.sale, gateway="kiwify"))
    )
    await room.deliver(_refund(room))
    assert await _orders(room) == [("pi_1", "pi_1", "refunded")]


async def test_a_test_delivery_joins_nothing(room: Room) -> None:
    await room.deliver(room.sale("ignored", order="in_1", names=["pi_1"], test=True))
    await room.deliver(_refund(room))
    assert await _orders(room) == [("pi_1", "pi_1", "refunded")]


def _trial(room: Room, subscription: str = "sub_1") -> Event:
    return room.sale(
        "subscription_changed",
        order=None,
        value="0.00",
        products=[],
        subscription_id=subscription,
        trial=True,
    )


def _charge(room: Room, order: str, *, at: float, subscription: str = "sub_1") -> Event:
    return room.sale(order=order, at=at, renewal=True, subscription_id=subscription, names=[])


async def test_the_first_charge_after_a_trial_is_a_sale_and_the_next_a_renewal(room: Room) -> None:
    room.funnel(send_renewals=False)
    first, second = _charge(room, "in_2", at=10), _charge(room, "in_3", at=20)
    for event in (_trial(room), first, second):
        await room.deliver(event)
    assert await room.outcome(first) == ("in_flight", None)
    assert await room.outcome(second) == ("withheld", "policy")
    [(name, payload)] = await room.sent()
    assert (name, payload["custom_data"]["order_id"], payload["custom_data"]["value"]) == (
        "Purchase",
        "in_2",
        297.0,
    )
    assert "renewal" not in payload["custom_data"]


async def test_charges_of_one_batch_are_told_apart_by_their_time(room: Room) -> None:
    room.funnel(send_renewals=False)
    await room.deliver(_charge(room, "in_3", at=20), _charge(room, "in_2", at=10), _trial(room))
    assert [payload["custom_data"]["order_id"] for _, payload in await room.sent()] == ["in_2"]


async def test_a_charge_of_a_subscription_without_a_trial_is_a_renewal(room: Room) -> None:
    room.funnel(send_renewals=False)
    await room.deliver(_trial(room, "sub_other"))
    charge = _charge(room, "in_2", at=10)
    await room.deliver(charge)
    assert await room.outcome(charge) == ("withheld", "policy")


async def test_what_an_order_is_called_goes_with_it(room: Room) -> None:

    await room.deliver(_link(room), _trial(room))
    assert len(await room.rows("select name from order_names")) == 2
    await purge(room.database, now=NOW + timedelta(days=200))
    assert await room.rows("select name from order_names") == []
