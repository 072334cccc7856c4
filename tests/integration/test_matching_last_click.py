"""The purchase's own time, the last click before it, and what is not sent or attributed after
it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sinal_hub.model.events import Event, UserData
from sinal_hub.model.sale import Client, Customer, Tracking

from tests.support.fix_matching import AGENT, EMAIL, PHONE, Room

FBP = "fb.1.1700000000000.1234567890"
DAY = 1440.0
ANA = UserData(em=[EMAIL], ph=[PHONE])
ID = "Ab3dEfGh1jKlMn0pQrStUv"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("status", ["refunded", "chargeback", "completed", "refund_requested"])
async def test_a_click_between_the_purchase_and_a_later_notice_did_not_bring_it(
    room: Room, status: str
) -> None:
    sale = room.sale()
    await room.deliver(room.visit("lead", at=-60, click_id="before", fbp=FBP, user=ANA), sale)
    after = room.visit("lead", at=5 * DAY, click_id="after", fbp=FBP, fbclid="IwAR", user=ANA)
    await room.deliver(after, room.sale(status, at=5 * DAY + 10))
    assert await room.match(sale) == ("match", "email", 1.0, "before")


async def test_a_stranger_near_a_refund_is_no_match(room: Room) -> None:
    sale = room.sale(client=Client(ip="177.10.20.30", user_agent=AGENT))
    await room.deliver(sale, room.visit(at=3 * DAY, click_id="stranger", ip="177.10.20.30"))
    await room.deliver(
        room.sale("refunded", at=3 * DAY + 5, client=Client(ip="177.10.20.30", user_agent=AGENT))
    )
    assert (await room.match(sale))[::3] == ("unmatched", None)


async def test_an_early_refund_moves_no_window_once_the_approval_is_there(room: Room) -> None:
    click = room.visit("lead", at=2 * DAY, click_id="after", fbclid="IwAR", user=ANA)
    refund, approval = room.sale("refunded", at=2 * DAY + 5), room.sale()
    await room.deliver(click, refund, approval)
    assert (await room.match(approval))[::3] == ("unmatched", None)


async def test_windows_count_from_the_approval_of_a_boleto(room: Room) -> None:
    order = [room.sale("pending", at=-3 * DAY), room.sale("approved")]
    old = room.visit("lead", at=-8 * DAY, click_id="old", fbclid="A", user=ANA)
    await room.deliver(old, *order)
    assert (await room.match(order[1]))[0] == "unmatched"
    await room.deliver(room.visit("lead", at=-6 * DAY, click_id="new", fbclid="B", user=ANA))
    assert await room.match(order[1]) == ("match", "email", 1.0, "new")


@pytest.mark.parametrize("status", ["refunded", "chargeback"])
async def test_a_late_click_sends_nothing_of_an_order_that_was_given_back(
    room: Room, status: str
) -> None:
    room.matching(unmatched="Drop")
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(sale)
    await room.deliver(room.sale(status, at=60, tracking=Tracking(click_id="c1")))
    await room.deliver(room.visit(click_id="c1"))
    assert await room.outcome(sale) == ("withheld", "out_of_order")
    assert await room.sent() == []


async def test_a_wait_that_ends_after_the_refund_sends_nothing(room: Room) -> None:
    room.matching(wait_for_click_s=600)
    sale = room.sale()
    await room.deliver(sale)
    await room.deliver(room.sale("refunded", at=5))
    room.pass_time(seconds=601)
    await room.worker.sweep()
    assert await room.outcome(sale) == ("withheld", "out_of_order")
    assert await room.sent() == []


@pytest.mark.parametrize(
    "tie",
    [{"fbp": FBP}, {"session_id": "s1"}, {"external_id": "u1"}],
    ids=["cookie", "session", "customer"],
)
async def test_the_last_ad_click_of_the_browser_counts_whichever_named_the_buyer(
    room: Room, tie: Any
) -> None:
    sale = room.sale()
    named = room.visit("lead", at=-2 * DAY, click_id="named", fbclid="A", user=ANA, **tie)
    last = room.visit(at=-30, click_id="last", fbclid="B", ip="198.51.100.9", **tie)
    other = room.visit(
        at=-20, click_id="other", fbclid="C", user=UserData(em=[_digest("bia")]), **tie
    )
    after = room.visit(at=60, click_id="after", fbclid="D", **tie)
    await room.deliver(named, last, other, after, sale)
    assert await room.match(sale) == ("match", "email", 1.0, "last")


async def test_email_and_phone_are_one_rank_and_then_time_counts(room: Room) -> None:
    sale = room.sale(customer=Customer(em=[EMAIL], ph=[PHONE]))
    by_email = room.visit(
        "lead", at=-600, click_id="c1", fbp="1", fbclid="A", user=UserData(em=[EMAIL])
    )
    by_phone = room.visit(
        "lead", at=-60, click_id="c2", fbp="2", fbclid="B", user=UserData(ph=[PHONE])
    )
    await room.deliver(by_email, by_phone, sale)
    assert await room.match(sale) == ("match", "phone", 1.0, "c2")


async def test_an_ad_click_beats_a_later_visit_without_one(room: Room) -> None:
    sale = room.sale()
    await room.deliver(
        room.visit(at=-3 * DAY, click_id="ad", fbclid="A", fbp=FBP),
        room.visit("lead", at=-60, session_id="by-hand", fbp=FBP, user=ANA),
        sale,
    )
    assert await room.match(sale) == ("match", "email", 1.0, "ad")


async def test_a_late_last_click_changes_the_attribution_and_sends_nothing_again(
    room: Room,
) -> None:
    sale = room.sale()
    await room.deliver(
        room.visit("lead", at=-2 * DAY, click_id="old", fbclid="A", fbp=FBP, user=ANA), sale
    )
    sent = len(await room.sent())
    await room.deliver(room.visit(at=-30, click_id="last", fbclid="B", fbp=FBP))
    assert await room.match(sale) == ("match", "email", 1.0, "last")
    assert len(await room.sent()) == sent


async def test_the_first_event_of_a_visit_may_arrive_last(room: Room) -> None:
    sale = room.sale()
    await room.deliver(room.visit("lead", at=20, click_id="c1", fbclid="A", user=ANA), sale)
    assert (await room.match(sale))[0] == "unmatched"
    await room.deliver(room.visit(at=-30, click_id="c1", fbclid="A", user=ANA))
    assert await room.match(sale) == ("match", "email", 1.0, "c1")


async def test_an_email_of_many_browsers_proves_nothing(room: Room) -> None:
    """An agency's e-mail in the forms of three customers, who have telephones of their own."""
    visits = [
        room.visit("lead", at=-60 - n, click_id=f"c{n}", fbclid=f"F{n}", fbp=f"{n}", ip=f"198.51.100.{n}",
                   user=UserData(em=[EMAIL], ph=[_digest(f"phone {n}")]))
        for n in range(3)
    ]  # fmt: skip
    two, three = room.sale(), room.sale(order="HP2")
    await room.deliver(*visits[:2], two)
    assert (await room.match(two))[1] == "email"
    await room.deliver(visits[2], three)
    assert [(await room.match(sale))[0] for sale in (two, three)] == ["unmatched", "unmatched"]


async def test_an_email_of_one_person_with_three_browsers_still_proves(room: Room) -> None:
    visits = [
        room.visit(
            "lead",
            at=-60 - n,
            click_id=f"c{n}",
            fbclid=f"F{n}",
            fbp=f"{n}",
            ip=f"198.51.100.{n}",
            user=ANA,
        )
        for n in range(4)
    ]
    sale = room.sale()
    await room.deliver(*visits, sale)
    assert await room.match(sale) == ("match", "email", 1.0, "c0")


@pytest.mark.parametrize(
    "tracking", [Tracking(fbclid="A"), Tracking(fbp=FBP)], ids=["fbclid", "fbp"]
)
async def test_another_email_or_phone_on_the_click_is_no_automatic_match(
    room: Room, tracking: Tracking
) -> None:
    sale = room.sale(customer=Customer(em=[EMAIL], ph=[PHONE]), tracking=tracking)
    bia = UserData(em=[_digest("bia")], ph=[_digest("phone of bia")])
    await room.deliver(room.visit("lead", click_id="c1", fbclid="A", fbp=FBP, user=bia), sale)
    assert (await room.match(sale))[0] == "review"
    [(_, payload)] = [sent for sent in await room.sent() if sent[0] == "Purchase"]
    assert payload["user_data"]["em"] == [EMAIL]
    assert payload["user_data"]["ph"] == [PHONE]


async def test_a_phone_with_another_email_is_no_automatic_match(room: Room) -> None:
    sale = room.sale(customer=Customer(em=[EMAIL], ph=[PHONE]))
    mother = UserData(em=[_digest("mother")], ph=[PHONE])
    await room.deliver(room.visit("lead", click_id="c1", fbclid="A", user=mother), sale)
    assert (await room.match(sale))[0] == "review"


async def test_a_sale_for_another_teaches_nothing_of_a_visitor_who_is_known(room: Room) -> None:
    gift = room.sale(tracking=Tracking(click_id="c1"), customer=Customer(em=[_digest("bia")]))
    later = room.sale(order="HP2", at=30, customer=Customer(em=[_digest("bia")]))
    await room.deliver(room.visit("lead", click_id="c1", fbclid="A", user=ANA), gift)
    await room.deliver(later)
    assert await room.match(gift) == ("match", "click_id", 1.0, "c1")
    assert (await room.match(later))[0] == "unmatched"


async def test_what_a_sale_teaches_reaches_an_order_that_came_before_it(room: Room) -> None:
    upsell, first = room.sale(order="HP2", at=4), room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(room.visit(click_id="c1"))
    await room.deliver(upsell)
    await room.deliver(first)
    room.pass_time(seconds=6)
    await room.worker.sweep()
    assert await room.match(upsell) == ("match", "email", 1.0, "c1")


@pytest.mark.parametrize(
    ("slot", "rule", "score"),
    [
        (ID.lower(), "click_id_case", 0.95),
        (ID[:15], "click_id_part", 0.9),
        (ID[:12].lower(), "click_id_part", 0.9),
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_an_id_in_another_case_or_cut_short_still_finds_its_click(
    room: Room, slot: str, rule: str, score: float, late: bool
) -> None:
    sale, click = room.sale(tracking=Tracking(click_id=slot)), room.visit(click_id=ID)
    for event in (sale, click) if late else (click, sale):
        await room.deliver(event)
    assert await room.match(sale) == ("match", rule, score, ID)


async def test_a_beginning_that_two_ids_share_is_no_match(room: Room) -> None:
    sale = room.sale(tracking=Tracking(click_id=ID[:12]))
    clicks: list[Event] = [
        room.visit(click_id=ID[:12] + tail, fbp=tail) for tail in ("aaaaaaaaaa", "bbbbbbbbbb")
    ]
    await room.deliver(*clicks, sale)
    assert (await room.match(sale))[0] != "match"


@pytest.mark.parametrize(
    ("ip", "decision"), [("2804:14c:5bb1::77", "match"), ("2804:14c:5bb2::77", "unmatched")]
)
async def test_a_telephone_moves_within_its_network(room: Room, ip: str, decision: str) -> None:
    sale = room.sale(client=Client(ip=ip, user_agent=AGENT))
    await room.deliver(room.visit(click_id="c1", ip="2804:14c:5bb1:0:8a1:2:3:4"), sale)
    assert (await room.match(sale))[0] == decision
