"""A replay sends each row again exactly once, keeps its id at Meta, and never sends what nobody
asked for twice.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from sinal_hub.model.events import Event, decode_event
from sinal_hub.store.idempotency import IdempotencyStore, KnownOperation

from tests.support.fix_operations import ApiRig


async def dead_sale(rig: ApiRig, order: str, *, reason: str = "rejected", code: int = 100) -> Event:
    """A sale whose delivery Meta refused, with its attempt and its dead letter."""
    sale = rig.room.sale(order=order)
    await rig.room.deliver(sale)
    await end(rig, sale, "dead", reason)
    await rig.run(
        "insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no, "
        "outcome, code, subcode) "
        "select tenant_id, id, created_at, 1, 'refused', %s, 2804003 from capi_events where "
        "source_event = %s",
        code,
        sale.id,
    )
    await rig.run(
        "insert into dead_letters (tenant_id, stage, event_row, capi_event_id, capi_created_at, "
        "destination, reason, "
        "detail, attempts, body) select tenant_id, 'dispatch', source_event, id, created_at, "
        "destination, reason, "
        "'Invalid parameter', 1, payload_json from capi_events where source_event = %s",
        sale.id,
    )
    return sale


async def end(
    rig: ApiRig, sale: Event, status: str, reason: str | None = None, *, hours_ago: float = 0
) -> None:
    """Settle the deliveries of a sale."""
    await rig.run(
        "update capi_events set status = %s, reason = %s, published_at = now(), "
        "settled_at = now() - make_interval(secs => %s) where source_event = %s",
        status,
        reason,
        hours_ago * 3600,
        sale.id,
    )


async def outbox(rig: ApiRig, sale: Event) -> dict[str, Any]:
    (row,) = await rig.rows("select * from capi_events where source_event = %s", sale.id)
    return row


async def test_a_dead_event_is_sent_again_under_its_own_id(api_rig: ApiRig) -> None:
    sale = await dead_sale(api_rig, "HP1")
    before = await outbox(api_rig, sale)
    answer = await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["replayed"], answer.json()["matched"]) == (1, 1)
    row = await outbox(api_rig, sale)
    assert (row["status"], row["generation"], row["reason"]) == (
        "pending",
        before["generation"] + 1,
        None,
    )
    assert row["event_id"] == before["event_id"] and row["payload_json"] == before["payload_json"]
    (message,) = api_rig.bus.messages.values()
    assert message.subject == "t.loja.out.pixel"
    assert message.msg_id == f"{before['event_id']}:pixel:1"
    assert msgspec.json.decode(message.body)["id"] == before["id"]
    assert row["published_at"] is not None
    assert (await api_rig.rows("select replayed_at from dead_letters"))[0][
        "replayed_at"
    ] is not None


async def test_the_same_key_gives_the_first_result_and_one_generation(api_rig: ApiRig) -> None:
    sale = await dead_sale(api_rig, "HP1")
    headers = {"Idempotency-Key": "monday-1"}
    calls = [api_rig.call("POST", f"/api/v1/replay/{sale.id}", headers=headers) for _ in range(4)]
    answers = await asyncio.gather(*calls)
    await end(api_rig, sale, "dead", "rejected")
    answers.append(await api_rig.call("POST", f"/api/v1/replay/{sale.id}", headers=headers))
    assert [answer.status_code for answer in answers] == [200] * 5, [a.text for a in answers]
    assert len({answer.text for answer in answers}) == 1
    assert (await outbox(api_rig, sale))["generation"] == 1
    assert len(api_rig.bus.messages) == 1
    assert len(await api_rig.rows("select 1 from audit_log where action = 'replay'")) == 1


async def test_a_call_overtaken_by_its_twin_gets_the_twins_result(
    api_rig: ApiRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await dead_sale(api_rig, "HP1")
    headers = {"Idempotency-Key": "twins"}
    first = await api_rig.call("POST", f"/api/v1/replay/{sale.id}", headers=headers)
    known, asked = IdempotencyStore.known, itertools.count()

    async def not_yet(store: IdempotencyStore, actor: str, key: str) -> KnownOperation | None:
        return None if next(asked) == 0 else await known(store, actor, key)

    monkeypatch.setattr(IdempotencyStore, "known", not_yet)
    second = await api_rig.call("POST", f"/api/v1/replay/{sale.id}", headers=headers)
    assert (second.status_code, second.text) == (200, first.text)


async def test_a_key_is_not_good_for_another_request(api_rig: ApiRig) -> None:
    first, second = await dead_sale(api_rig, "HP1"), await dead_sale(api_rig, "HP2")
    headers = {"Idempotency-Key": "k"}
    await api_rig.call("POST", f"/api/v1/replay/{first.id}", headers=headers)
    answer = await api_rig.call("POST", f"/api/v1/replay/{second.id}", headers=headers)
    assert answer.status_code == 409 and "another request" in answer.json()["detail"]
    assert (await outbox(api_rig, second))["status"] == "dead"


async def test_without_a_key_what_is_on_its_way_is_left_alone(api_rig: ApiRig) -> None:
    sale = await dead_sale(api_rig, "HP1")
    await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    again = await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    assert again.status_code == 409 and "in_flight" in again.json()["detail"]
    assert (await outbox(api_rig, sale))["generation"] == 1


async def test_what_was_delivered_needs_force_and_after_two_days_a_second_word(
    api_rig: ApiRig,
) -> None:
    sale = api_rig.room.sale()
    await api_rig.room.deliver(sale)
    await end(api_rig, sale, "delivered", hours_ago=47)
    path = f"/api/v1/replay/{sale.id}"
    refused = await api_rig.call("POST", path)
    assert refused.status_code == 409 and "force" in refused.json()["detail"]
    assert (await api_rig.call("POST", path, json={"force": True})).status_code == 200
    await end(api_rig, sale, "delivered", hours_ago=49)
    refused = await api_rig.call("POST", path, json={"force": True})
    assert refused.status_code == 409 and "confirm_duplicate" in refused.json()["detail"]
    assert "48 hours" in refused.json()["detail"]
    assert (
        await api_rig.call("POST", path, json={"force": True, "confirm_duplicate": True})
    ).status_code == 200
    assert (await outbox(api_rig, sale))["generation"] == 2


async def test_what_is_too_old_for_meta_stays_dead(api_rig: ApiRig) -> None:
    sale = await dead_sale(api_rig, "HP1")
    await api_rig.run(
        "update capi_events set event_time = extract(epoch from now())::bigint - 7 * 86400"
    )
    answer = await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    assert answer.status_code == 409 and "7 days" in answer.json()["detail"]


async def test_a_destination_that_is_gone_gets_nothing(api_rig: ApiRig) -> None:
    sale = await dead_sale(api_rig, "HP1")
    (loja, outra) = api_rig.plans.snapshot.tenants.values()
    api_rig.plans.set(msgspec.structs.replace(loja, destinations=()), outra)
    answer = await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    assert answer.status_code == 409 and "not in the plan" in answer.json()["detail"]


async def test_a_dry_run_counts_and_changes_nothing(api_rig: ApiRig) -> None:
    sales = [await dead_sale(api_rig, f"HP{n}") for n in range(3)]
    delivered = api_rig.room.sale(order="HP9")
    await api_rig.room.deliver(delivered)
    await end(api_rig, delivered, "delivered")
    answer = (
        await api_rig.call("POST", "/api/v1/replay", json={"tenant": "loja", "dry_run": True})
    ).json()
    assert (answer["matched"], answer["replayed"], answer["skipped"], answer["operation"]) == (
        3,
        3,
        {},
        None,
    )
    assert {one["event"] for one in answer["sample"]} == {sale.id for sale in sales}
    every = await api_rig.call(
        "POST", "/api/v1/replay", json={"outcome": "delivered", "dry_run": True}
    )
    assert (every.json()["replayed"], every.json()["skipped"]) == (0, {"delivered": 1})
    assert not api_rig.bus.messages
    assert [(await outbox(api_rig, sale))["status"] for sale in sales] == ["dead"] * 3


async def test_a_filter_is_replayed_page_by_page_and_nothing_twice(api_rig: ApiRig) -> None:
    for n in range(5):
        await dead_sale(api_rig, f"HP{n}")
    body: dict[str, Any] = {"tenant": "loja", "reason": "rejected", "limit": 2}
    replayed, calls = 0, 0
    while True:
        answer = (await api_rig.call("POST", "/api/v1/replay", json=body)).json()
        replayed, calls = replayed + answer["replayed"], calls + 1
        if answer["next_cursor"] is None:
            break
        body["cursor"] = answer["next_cursor"]
    assert (replayed, calls) == (5, 3)
    assert {r["generation"] for r in await api_rig.rows("select generation from capi_events")} == {
        1
    }
    assert len(api_rig.bus.messages) == 5


async def two_pixels(rig: ApiRig) -> None:
    """The funnel sends to `agency` too."""
    loja, outra = rig.plans.snapshot.tenants.values()
    agency = msgspec.structs.replace(loja.destinations[0], name="agency")
    rig.room.plan(destinations=(*loja.destinations, agency))
    rig.room.funnel(destinations=("pixel", "agency"))
    rig.plans.set(rig.room.plans.snapshot.tenants["loja"], outra)


async def test_a_filter_with_a_destination_goes_by_what_became_of_the_delivery_to_it(
    api_rig: ApiRig,
) -> None:
    """The event as a whole is in flight, or dead for another destination's sake."""
    await two_pixels(api_rig)
    ended = {"HP1": ("dead", "pending"), "HP2": ("dead", "delivered"), "HP3": ("delivered", "dead")}
    sales = {order: api_rig.room.sale(order=order) for order in ended}
    await api_rig.room.deliver(*sales.values())
    settle = (
        "update capi_events set status = %s, reason = %s, settled_at = now() "
        "where source_event = %s and destination = %s"
    )
    for order, states in ended.items():
        for state, destination in zip(states, ("pixel", "agency"), strict=True):
            reason = f"by_{destination}" if state == "dead" else None
            await api_rig.run(settle, state, reason, sales[order].id, destination)
    body = {"tenant": "loja", "destination": "pixel"}

    async def asked(**more: object) -> tuple[set[str], int]:
        answer = (await api_rig.call("POST", "/api/v1/replay", json={**body, **more})).json()
        found = {one["event"] for one in answer["sample"] if one["destination"] == "pixel"}
        assert len(answer["sample"]) == answer["matched"]
        return {order for order, sale in sales.items() if sale.id in found}, answer["replayed"]

    assert await asked(dry_run=True, reason="by_agency") == (set(), 0)
    assert await asked(dry_run=True, outcome="delivered", force=True) == ({"HP3"}, 1)
    assert await asked(dry_run=True) == await asked(reason="by_pixel") == ({"HP1", "HP2"}, 2)
    assert await asked() == (set(), 0)
    assert {one.subject for one in api_rig.bus.messages.values()} == {"t.loja.out.pixel"}


async def test_a_broker_that_is_away_leaves_the_row_to_the_sweeper(api_rig: ApiRig) -> None:
    sale = await dead_sale(api_rig, "HP1")
    api_rig.bus.down = True
    assert (await api_rig.call("POST", f"/api/v1/replay/{sale.id}")).status_code == 200
    await api_rig.run("update capi_events set created_at = created_at - interval '1 minute'")
    await api_rig.room.worker.sweep()
    row = await outbox(api_rig, sale)
    assert f"{row['event_id']}:pixel:1" in api_rig.room.bus.messages


async def test_an_event_withheld_for_want_of_a_destination_is_judged_by_the_plan_of_today(
    api_rig: ApiRig,
) -> None:
    room = api_rig.room
    room.funnel(destinations=())
    sale = room.sale()
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "no_destination")
    room.funnel(destinations=("pixel",))
    answer = await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    assert answer.status_code == 200, answer.text
    (message,) = api_rig.bus.messages.values()
    assert message.subject == "t.loja.in.sale"
    assert await room.deliver(message.body) == [b"+ACK"]
    assert await room.outcome(sale) == ("in_flight", None)
    assert [name for name, _ in await room.sent()] == ["Purchase"]


async def test_what_no_replay_can_change_is_refused(api_rig: ApiRig) -> None:
    first, repeat = api_rig.room.sale(), api_rig.room.sale()
    await api_rig.room.deliver(first)
    await api_rig.room.deliver(repeat)
    assert await api_rig.room.outcome(repeat) == ("withheld", "duplicate")
    answer = await api_rig.call("POST", f"/api/v1/replay/{repeat.id}")
    assert answer.status_code == 409 and "final" in answer.json()["detail"]


async def dead_in_matching(rig: ApiRig, order: str) -> Event:
    """A sale that matching gave up, as it leaves it."""
    sale = rig.room.sale(order=order)
    await rig.run(
        "alter table conversions add constraint poison check (order_key <> 'NONE') not valid"
    )
    await rig.run("alter table conversions drop constraint poison")
    await rig.run(
        f"alter table conversions add constraint poison check (order_key <> '{order}') not valid"
    )
    await rig.room.deliver(sale, deliveries=5)
    await rig.run("alter table conversions drop constraint poison")
    assert await rig.room.outcome(sale) == ("dead", "internal_error")
    return sale


async def test_a_message_that_matching_gave_up_goes_back_to_matching(api_rig: ApiRig) -> None:
    sale = await dead_in_matching(api_rig, "HP1")
    answer = await api_rig.call("POST", f"/api/v1/replay/{sale.id}")
    assert answer.status_code == 200, answer.text
    (message,) = api_rig.bus.messages.values()
    assert decode_event(message.body) == sale
    await api_rig.room.deliver(message.body)
    assert await api_rig.room.outcome(sale) == ("in_flight", None)


async def test_dead_letters_are_grouped_by_cause_and_replayed_by_group(api_rig: ApiRig) -> None:
    for n in range(3):
        await dead_sale(api_rig, f"HP{n}")
    other = await dead_sale(api_rig, "HP8", code=190)
    lost = await dead_in_matching(api_rig, "HP9")
    groups = (await api_rig.call("GET", "/api/v1/dead-letters")).json()["groups"]
    causes = [
        (g["stage"], g["reason"], g["code"], g["subcode"], g["destination"], g["count"])
        for g in groups
    ]
    assert causes[0] == ("dispatch", "rejected", 100, 2804003, "pixel", 3)
    assert set(causes[1:]) == {
        ("dispatch", "rejected", 190, 2804003, "pixel", 1),
        ("match", "internal_error", None, None, None, 1),
    }
    assert groups[0]["first_at"] <= groups[0]["last_at"] and len(groups[0]["sample"]) == 3
    body = {
        name: groups[0][name]
        for name in ("tenant", "stage", "reason", "code", "subcode", "destination")
    }
    answer = await api_rig.call("POST", "/api/v1/dead-letters/replay", json=body)
    assert (answer.status_code, answer.json()["replayed"]) == (200, 3), answer.text
    assert (await outbox(api_rig, other))["status"] == "dead"
    answer = await api_rig.call(
        "POST", "/api/v1/dead-letters/replay", json={"stage": "match", "reason": "internal_error"}
    )
    assert answer.json()["replayed"] == 1
    await api_rig.room.deliver(api_rig.bus.messages[f"{lost.key}:replay:5"].body)
    assert await api_rig.room.outcome(lost) == ("in_flight", None)
    left = (await api_rig.call("GET", "/api/v1/dead-letters")).json()["groups"]
    assert [(g["code"], g["count"]) for g in left] == [(190, 1)]


async def test_letters_the_broker_did_not_take_stay_open_and_the_same_key_finishes_them(
    api_rig: ApiRig,
) -> None:
    lost = await dead_in_matching(api_rig, "HP1")
    api_rig.bus.down = True
    headers = {"Idempotency-Key": "night-shift"}
    body = {"stage": "match", "reason": "internal_error"}
    answer = await api_rig.call("POST", "/api/v1/dead-letters/replay", json=body, headers=headers)
    assert answer.status_code == 503 and "night-shift" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len((await api_rig.call("GET", "/api/v1/dead-letters")).json()["groups"]) == 1
    api_rig.bus.down = False
    answer = await api_rig.call("POST", "/api/v1/dead-letters/replay", json=body, headers=headers)
    assert (answer.status_code, answer.json()["replayed"]) == (200, 1), answer.text
    assert (await api_rig.call("GET", "/api/v1/dead-letters")).json()["groups"] == []
    (message,) = api_rig.bus.messages.values()
    assert decode_event(message.body) == lost


async def test_an_unreadable_message_is_said_to_be_so(api_rig: ApiRig) -> None:
    await api_rig.room.deliver(b"not an event", deliveries=1)
    (group,) = (await api_rig.call("GET", "/api/v1/dead-letters")).json()["groups"]
    answer = await api_rig.call(
        "POST",
        "/api/v1/dead-letters/replay",
        json={"stage": group["stage"], "reason": group["reason"]},
    )
    assert (answer.json()["replayed"], answer.json()["skipped"]) == (0, {"unreadable": 1})
    assert not api_rig.bus.messages
