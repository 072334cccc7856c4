"""The detail of an event says which click it belongs to, what its match lacked, what was sent and
what it waits for.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from sinal_hub.model.events import Event, Utm
from sinal_hub.model.sale import Client, Customer, Tracking
from sinal_hub.store.tenant_status import DestinationHealthStore

from tests.support.fix_matching import AGENT, EMAIL, NOW
from tests.support.fix_operations import ApiRig

STRANGER = Customer(em=["d" * 64], ph=["e" * 64])


async def detail(rig: ApiRig, event: Event) -> dict[str, Any]:
    answer = await rig.call("GET", f"/api/v1/events/{event.id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def whys(rig: ApiRig, event: Event) -> dict[str, dict[str, Any]]:
    return {one["code"]: one["params"] for one in (await detail(rig, event))["why"]}


async def see_pages(rig: ApiRig) -> None:
    """As housekeeping does."""
    await rig.run(
        "insert into sightings select tenant_id, funnel, coalesce(integration, ''), "
        "max(received_at) from events "
        "group by 1, 2, 3"
    )


async def test_a_match_names_the_visit_and_the_next_best(api_rig: ApiRig) -> None:
    room, utm = api_rig.room, Utm(source="fb", campaign="natal", content="video-2")
    sale = room.sale(tracking=Tracking(click_id="c1", fbclid="IwAR"))
    page = "https://loja.example/oferta?utm_campaign=natal"
    await room.deliver(
        room.visit(click_id="c1", at=-30, utm=utm, url=page, fbclid="IwAR1"),
        room.visit(click_id="c2", fbclid="IwAR", ip="203.0.113.9"),
        sale,
    )
    found = await detail(api_rig, sale)
    click = found["match"]["click"]
    assert (click["click_id"], click["url"], click["from_ad"]) == ("c1", page, True)
    assert click["utm"] == {"source": "fb", "campaign": "natal", "content": "video-2"}
    assert datetime.fromisoformat(click["first_at"]) == NOW - timedelta(minutes=30)
    assert found["match"]["runner_up_click"]["click_id"] == "c2"
    assert found["why"] == []


async def test_a_sale_that_nothing_ties_to_a_visit_says_what_was_absent(api_rig: ApiRig) -> None:
    sale = api_rig.room.sale(customer=Customer(em=["d" * 64]))
    await api_rig.room.deliver(sale)
    assert await whys(api_rig, sale) == {
        "no_visits": {"days": 7, "funnel": "curso", "last_at": None},
        "click_id_absent": {"gateway": "hotmart"},
        "email_unseen": {"days": 7, "last_at": None},
        "phone_absent": {"gateway": "hotmart"},
        "address_absent": {"gateway": "hotmart"},
    }


async def test_a_click_id_that_came_back_and_is_unknown_is_another_thing_than_none(
    api_rig: ApiRig,
) -> None:
    room = api_rig.room
    sale = room.sale(
        customer=STRANGER, tracking=Tracking(click_id="gone"), client=Client(ip="198.51.100.1")
    )
    await room.deliver(room.visit(click_id="c1"), sale)
    await see_pages(api_rig)
    found = await whys(api_rig, sale)
    assert found["click_id_unknown"] == {"click_id": "gone", "days": 7}
    assert found["address_unseen"] == {"hours": 24}
    assert {"no_visits", "click_id_absent", "address_absent"}.isdisjoint(found)


async def test_an_email_that_was_seen_before_the_window_says_when(api_rig: ApiRig) -> None:
    room = api_rig.room
    sale = room.sale(customer=Customer(em=[EMAIL]))
    await room.deliver(room.visit("lead", click_id="c1", at=-20 * 1440, user={"em": [EMAIL]}), sale)
    found = await whys(api_rig, sale)
    assert found["email_unseen"]["last_at"] == (NOW - timedelta(days=20)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


async def test_an_address_that_several_visitors_share_says_how_many_and_what_it_is_worth(
    api_rig: ApiRig,
) -> None:
    room = api_rig.room
    visits = [
        room.visit(click_id=f"c{n}", ip="198.51.100.1", user_agent=f"{AGENT} {n}") for n in range(5)
    ]
    sale = room.sale(customer=STRANGER, client=Client(ip="198.51.100.1", user_agent="another"))
    await room.deliver(*visits, sale)
    await see_pages(api_rig)
    found = await whys(api_rig, sale)
    assert found["address_shared"] == {"visitors": 5, "weight": 0.2012}, "0.45 / √5"
    assert found["rivals"] == {"visitors": 5}
    assert (
        found["below_threshold"]["needed"] == 0.6
        and found["below_threshold"]["decision"] == "unmatched"
    )


async def test_what_waits_says_for_what_and_until_when(api_rig: ApiRig) -> None:
    room = api_rig.room
    sale = room.sale()
    await room.deliver(sale)

    async def waiting() -> tuple[str, Any]:
        (delivery,) = (await detail(api_rig, sale))["deliveries"]
        return delivery["waiting"]["code"], delivery["next_at"]

    assert await waiting() == ("queued", None)
    await api_rig.run("update capi_events set next_attempt_at = now() + interval '5 minutes'")
    await api_rig.run(
        "insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no, "
        "outcome, http_status) "
        "select tenant_id, id, created_at, 3, 'retry', 500 from capi_events"
    )
    code, at = await waiting()
    assert code == "backing_off" and at is not None
    await DestinationHealthStore(room.database, worker="w").opened(
        "loja", "pixel", reason="credential", wait_s=600
    )
    (delivery,) = (await detail(api_rig, sale))["deliveries"]
    assert delivery["waiting"] == {
        "code": "breaker_open",
        "params": {"reason": "credential", "code": None},
    }
    assert delivery["next_at"] > at, "the breaker opens later than the event is due"
    plan = api_rig.plans.snapshot.tenants["loja"]
    bare = msgspec.structs.replace(
        plan.destinations[0], access_token="", problem="Secret meta has no key token"
    )
    api_rig.plans.set(msgspec.structs.replace(plan, destinations=(bare,)))
    (delivery,) = (await detail(api_rig, sale))["deliveries"]
    assert delivery["waiting"] == {
        "code": "no_token",
        "params": {"problem": "Secret meta has no key token"},
    }
    await api_rig.run("update capi_events set status = 'delivered', settled_at = now()")
    (delivery,) = (await detail(api_rig, sale))["deliveries"]
    assert (delivery["waiting"], delivery["next_at"]) == (None, None)


async def test_a_sale_that_waits_for_a_late_click_says_until_when(api_rig: ApiRig) -> None:
    api_rig.room.matching(wait_for_click_s=900)
    sale = api_rig.room.sale(customer=STRANGER)
    await api_rig.room.deliver(sale)
    assert (await whys(api_rig, sale))["waits_for_click"]["until"] is not None


async def test_a_tenants_key_is_told_the_same_and_nobody_elses(api_rig: ApiRig) -> None:
    sale = api_rig.room.sale(tracking=Tracking(click_id="c1"))
    await api_rig.room.deliver(api_rig.room.visit(click_id="c1"), sale)
    mine, other = await api_rig.key(tenant="loja", role="viewer"), await api_rig.key(tenant="outra")
    found = await api_rig.call("GET", f"/api/v1/events/{sale.id}", key=mine)
    assert found.json() == await detail(api_rig, sale)
    assert (await api_rig.call("GET", f"/api/v1/events/{sale.id}", key=other)).status_code == 404
