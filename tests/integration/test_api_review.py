"""A held sale goes where a person says: with the click's data, without it, or nowhere.

Once, and on record.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sinal_hub.model.events import Event
from sinal_hub.model.sale import Client

from tests.support.fix_matching import AGENT
from tests.support.fix_operations import ApiRig

FBP = "fb.1.1700000000000.1098115397"


async def held_sale(rig: ApiRig, order: str = "HP1", status: str = "approved") -> Event:
    """A sale whose only evidence is an address and browser of an hour ago, in a funnel that holds
    such.
    """
    room = rig.room
    room.matching(review="Hold", unmatched="Drop", match_threshold=0.9, review_threshold=0.1)
    rig.plans.set(*room.plans.snapshot.tenants.values())
    click = room.visit(at=-20, click_id="click-1", fbp=FBP)
    sale = room.sale(status, order=order, client=Client(ip="203.0.113.7", user_agent=AGENT))
    await room.deliver(click)
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "review")
    return sale


async def user_data(rig: ApiRig) -> list[dict[str, Any]]:
    return [payload["user_data"] for _, payload in await rig.room.sent()]


async def test_the_queue_holds_what_waits_and_says_for_which_click(api_rig: ApiRig) -> None:
    sale = await held_sale(api_rig)
    (waiting,) = (await api_rig.call("GET", "/api/v1/review")).json()["events"]
    assert (waiting["id"], waiting["match"]["decision"], waiting["match"]["click_id"]) == (
        sale.id,
        "review",
        "click-1",
    )


async def test_accepted_it_goes_with_the_clicks_data_and_at_once(api_rig: ApiRig) -> None:
    sale = await held_sale(api_rig)
    answer = await api_rig.call("POST", f"/api/v1/review/{sale.id}/accept")
    assert answer.status_code == 200, answer.text
    event = answer.json()["event"]
    assert (answer.json()["changed"], event["outcome"]["state"]) == (True, "in_flight")
    assert (event["match"]["decision"], event["match"]["rule"]) == ("match", "review_accepted")
    assert event["match"]["signals"], "the evidence stays readable"
    (data,) = await user_data(api_rig)
    assert data["fbp"] == FBP
    (message,) = api_rig.bus.messages.values()
    assert message.subject == "t.loja.out.pixel"
    assert (await api_rig.call("GET", "/api/v1/review")).json()["events"] == []


async def test_rejected_it_goes_without_the_clicks_data_though_the_funnel_drops_unmatched(
    api_rig: ApiRig,
) -> None:
    sale = await held_sale(api_rig)
    answer = await api_rig.call("POST", f"/api/v1/review/{sale.id}/reject")
    assert answer.status_code == 200, answer.text
    assert answer.json()["event"]["match"]["decision"] == "unmatched"
    (data,) = await user_data(api_rig)
    assert data["em"] and "fbp" not in data


async def test_dropped_it_goes_nowhere_and_stays_so(api_rig: ApiRig) -> None:
    sale = await held_sale(api_rig)
    answer = await api_rig.call("POST", f"/api/v1/review/{sale.id}/reject", json={"then": "drop"})
    assert answer.json()["event"]["outcome"] == {"state": "withheld", "reason": "policy"}
    await api_rig.room.deliver(api_rig.room.visit(at=-5, ip="203.0.113.7"))
    assert await api_rig.room.outcome(sale) == ("withheld", "policy")
    assert await user_data(api_rig) == []


async def test_said_again_it_changes_nothing_and_the_opposite_is_refused(api_rig: ApiRig) -> None:
    sale = await held_sale(api_rig)
    path = f"/api/v1/review/{sale.id}"
    answers = await asyncio.gather(*(api_rig.call("POST", f"{path}/accept") for _ in range(4)))
    assert sorted(answer.json()["changed"] for answer in answers) == [False, False, False, True]
    opposite = await api_rig.call("POST", f"{path}/reject")
    assert opposite.status_code == 409 and "review_accepted" in opposite.json()["detail"]
    assert len(await user_data(api_rig)) == 1
    audit = await api_rig.rows(
        "select actor, target, tenant_id from audit_log where action like 'review.%%'"
    )
    assert audit == [{"actor": "admin_key", "target": sale.id, "tenant_id": "loja"}]


async def test_a_persons_word_outlasts_later_evidence(api_rig: ApiRig) -> None:
    sale = await held_sale(api_rig)
    await api_rig.call("POST", f"/api/v1/review/{sale.id}/reject")
    later = api_rig.room.sale("refunded", client=Client(ip="203.0.113.7", user_agent=AGENT), at=1)
    await api_rig.room.deliver(api_rig.room.visit(at=-1, click_id="click-2"))
    await api_rig.room.deliver(later)
    assert (await api_rig.room.match(sale))[:2] == ("unmatched", "review_rejected")


async def test_what_is_not_in_review_cannot_be_decided(api_rig: ApiRig) -> None:
    sale = api_rig.room.sale()
    await api_rig.room.deliver(sale)
    for word in ("accept", "reject"):
        answer = await api_rig.call("POST", f"/api/v1/review/{sale.id}/{word}")
        assert answer.status_code == 409 and "not in review" in answer.json()["detail"]
    assert (await api_rig.call("POST", "/api/v1/review/ev_none/accept")).status_code == 404
