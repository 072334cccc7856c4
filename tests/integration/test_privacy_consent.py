"""Consent withdrawn while an event waits is honoured, by a person's word to the shop and by the
browser's own.
"""

from __future__ import annotations

from typing import Any

import pytest

from sinal_core.outbox.ledger import Ref
from sinal_crds.plan import MatchingPlan
from sinal_hub.model.events import UserData
from sinal_hub.model.sale import Customer, Tracking
from sinal_hub.store.delivery import DeliveryStore

from tests.support.fix_matching import EMAIL, PHONE, Room
from tests.support.fix_operations import ApiRig

PATH = "/api/v1/privacy/consent"
ANA = Customer(em=[EMAIL], ph=[PHONE])


async def rows(room: Room) -> list[tuple[str, str | None]]:
    found = await room.rows("select status, reason from capi_events order by id")
    return [(row["status"], row["reason"]) for row in found]


async def withdraw(rig: ApiRig, **told: Any) -> dict[str, int]:
    body = {"tenant": "loja", "consent_ads": False} | told
    answer = await rig.call("POST", PATH, json=body)
    assert answer.status_code == 200, answer.text
    counts: dict[str, int] = answer.json()["counts"]
    return counts


async def live(room: Room) -> None:
    """Ana's lead and sale wait; so does a sale of somebody else."""
    await room.deliver(
        room.visit("lead", click_id="c1", external_id="customer-7", user=UserData(em=[EMAIL])),
        room.sale(order="HP1", customer=ANA, tracking=Tracking(click_id="c1")),
        room.sale(order="HP2", customer=Customer(em=["0" * 64])),
    )


@pytest.mark.parametrize(
    "person",
    [
        {"email": "ana@example.com"},
        {"phone": "11 98765-4321"},
        {"click_id": "c1"},
        {"external_id": "customer-7"},
    ],
    ids=lambda person: next(iter(person)),
)
async def test_what_waits_of_this_person_ends_without_consent(
    api_rig: ApiRig, person: dict[str, str]
) -> None:
    await live(api_rig.room)
    await withdraw(api_rig, **person)
    found = await rows(api_rig.room)
    assert found[1] == ("withheld", "no_consent")  # the sale
    assert found[2] == ("pending", None)  # another person's
    if "phone" not in person:  # the lead did not tell a phone
        assert found[0] == ("withheld", "no_consent")


@pytest.mark.parametrize(
    "person", [{"email": "ana@example.com"}, {"phone": "11 98765-4321"}, {"click_id": "c1"}]
)
async def test_it_holds_for_what_comes_later(api_rig: ApiRig, person: dict[str, str]) -> None:
    await withdraw(api_rig, **person)
    later = api_rig.room.sale(order="HP9", customer=ANA, tracking=Tracking(click_id="c1"), at=10)
    await api_rig.room.deliver(later)
    assert await api_rig.room.outcome(later) == ("withheld", "no_consent")
    await withdraw(api_rig, consent_ads=True, **person)
    again = api_rig.room.sale(order="HP10", customer=ANA, at=20)
    await api_rig.room.deliver(again)
    assert await api_rig.room.outcome(again) == ("in_flight", None)


async def test_a_sale_that_waits_for_a_click_is_not_sent_when_its_wait_ends(
    api_rig: ApiRig,
) -> None:
    room = api_rig.room
    room.funnel(matching=MatchingPlan(wait_for_click_s=600))
    sale = room.sale(customer=ANA)
    await room.deliver(sale)
    assert await room.outcome(sale) == ("in_flight", None)
    await withdraw(api_rig, email="ana@example.com")
    assert await room.outcome(sale) == ("withheld", "no_consent")
    room.pass_time(seconds=601)
    await room.worker.sweep()
    await room.deliver(room.visit(click_id="c1", user=UserData(em=[EMAIL])))
    assert await room.outcome(sale) == ("withheld", "no_consent")
    assert await room.sent() == []


async def test_what_is_being_sent_is_not_sent_a_second_time(api_rig: ApiRig) -> None:
    await live(api_rig.room)
    [row] = await api_rig.rows(
        "select id, created_at from capi_events where payload_json like %s", f"%{PHONE}%"
    )
    ref = Ref(row["id"], round(row["created_at"].timestamp() * 1000))
    claim = await DeliveryStore(api_rig.database).claim("loja", "pixel", [ref], lease_s=30)
    await withdraw(api_rig, email="ana@example.com")
    [row] = await api_rig.rows(
        "select status, consent_ads from capi_events where id = %s", claim.rows[0].id
    )
    # its next claim sees the word and withholds it
    assert (row["status"], row["consent_ads"]) == ("sending", False)


async def test_a_visitor_s_own_no_stops_what_waits_of_the_same_click(room: Room) -> None:
    await live(room)
    await room.deliver(room.visit("pageview", click_id="c1", consent_ads=False, at=1))
    assert (await rows(room)) == [("withheld", "no_consent")] * 2 + [("pending", None)]


async def test_an_older_no_does_not_overrule_a_later_yes(room: Room) -> None:
    await room.deliver(
        room.visit("lead", click_id="c1", user=UserData(em=[EMAIL]), consent_ads=True, at=2),
        room.visit("pageview", click_id="c1", consent_ads=False, at=1),
    )
    await room.deliver(room.visit("pageview", click_id="c1", consent_ads=False, at=0))
    assert (await rows(room)) == [("pending", None)]


async def test_a_word_is_kept_in_the_audit_log_without_the_person(api_rig: ApiRig) -> None:
    await live(api_rig.room)
    await withdraw(api_rig, email="ana@example.com", click_id="c1")
    [row] = await api_rig.rows("select action, tenant_id, detail from audit_log")
    assert (row["action"], row["tenant_id"]) == ("privacy.consent_withdrawn", "loja")
    assert row["detail"]["counts"]["capi_events"] == 2
    kept = str(row) + str(await api_rig.rows("select * from privacy_marks"))
    assert EMAIL not in kept and "example.com" not in kept and "'c1'" not in kept


async def test_a_viewer_may_not_and_a_person_is_needed(api_rig: ApiRig) -> None:
    viewer = await api_rig.key(role="viewer")
    body = {"email": "ana@example.com", "consent_ads": False}
    assert (await api_rig.call("POST", PATH, key=viewer, json=body)).status_code == 403
    nobody = await api_rig.call("POST", PATH, json={"tenant": "loja", "consent_ads": False})
    assert nobody.status_code == 400 and "click_id" in nobody.text
