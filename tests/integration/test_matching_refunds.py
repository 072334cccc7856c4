"""What is left of an order after refunds that say what they give back and not what the order
cost.
"""

from __future__ import annotations

import itertools

import pytest

from sinal_hub.model.events import Event

from tests.support.fix_matching import Room


def _part(room: Room, amount: str, *, at: float = 10) -> Event:
    return room.sale("refunded", at=at, value=None, refunded_value=amount, products=[])


def _whole(room: Room, status: str, amount: str, *, at: float = 10) -> Event:
    return room.sale(status, at=at, value="97.00", refunded_value=amount)


async def _order(room: Room) -> tuple[str, str, str]:
    [row] = await room.rows(
        "select status, amount, greatest(refunded_parts, refunded_total) as back from conversions"
    )
    return row["status"], str(row["amount"]), str(row["back"])


@pytest.mark.parametrize("sequence", list(itertools.permutations(range(3))))
async def test_a_refund_of_less_than_the_order_cost_is_one_in_part(
    room: Room, sequence: tuple[int, ...]
) -> None:
    told = [
        room.sale(value="97.00"),
        _part(room, "20.00"),
        _whole(room, "partially_refunded", "20.00", at=11),
    ]
    for at in sequence:
        await room.deliver(told[at])
    assert await _order(room) == ("partially_refunded", "97.00", "20.00")
    assert await room.outcome(told[1]) == ("withheld", "policy")
    assert await room.outcome(told[2]) == ("withheld", "policy")  # and not out of order


@pytest.mark.parametrize("sequence", list(itertools.permutations(range(3))))
async def test_refunds_in_part_that_give_back_all_are_a_whole_one(
    room: Room, sequence: tuple[int, ...]
) -> None:
    told = [room.sale(value="97.00"), _part(room, "20.00"), _part(room, "77.00", at=20)]
    for at in sequence:
        await room.deliver(told[at])
    assert await _order(room) == ("refunded", "97.00", "97.00")


async def test_a_refund_whose_order_is_unknown_is_taken_at_its_word(room: Room) -> None:
    await room.deliver(_part(room, "20.00"))
    [row] = await room.rows("select status from conversions")
    assert row["status"] == "refunded"


async def test_the_event_says_what_its_order_made_of_it(room: Room) -> None:
    refund = _part(room, "20.00")
    await room.deliver(room.sale(value="97.00"))
    await room.deliver(refund)
    [row] = await room.rows(
        "select status, body #>> '{sale,status}' as told from events where id = %s", refund.id
    )
    assert (row["status"], row["told"]) == ("partially_refunded", "partially_refunded")
