"""What the operations API shows: the timeline of an event as the contract words it, filters, stable
pages.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from sinal_hub.model.events import UserData, event_row_id
from sinal_hub.model.sale import Customer, Tracking
from sinal_hub.store.reading import EventFilter, InvalidCursor

from tests.support.fix_matching import EMAIL, NOW, Room


async def _json(room: Room, event_id: str, tenant: str | None = "loja") -> dict[str, Any]:
    detail = await room.reader.get_event(tenant, event_id)
    return msgspec.json.decode(msgspec.json.encode(detail))  # type: ignore[no-any-return]


async def _deliver_to_meta(
    room: Room, status: str = "delivered", reason: str | None = None
) -> None:
    """What dispatch writes: a first attempt that met a server error, a second that settled."""
    for number, (http, code, answer, latency) in enumerate(
        ((500, 2, "try later", 30), (200, None, "ok", 41)), 1
    ):
        [request] = await room.rows(
            "insert into dispatch_requests (created_at, tenant_id, destination, events, "
            "http_status, code, answer, "
            "latency_ms) select now(), 'loja', 'pixel', 1, %s, %s, %s, %s returning id, created_at",
            http,
            code,
            answer,
            latency,
        )
        await room.rows(
            "insert into dispatch_attempts (created_at, tenant_id, capi_event_id, capi_created_at, "
            "attempt_no, "
            "request_id, outcome, http_status, code) select %s, 'loja', id, created_at, %s, %s, "
            "'delivered', "
            "%s, %s from capi_events returning id",
            request["created_at"],
            number,
            request["id"],
            http,
            code,
        )
    await room.rows("update capi_events set status = %s, reason = %s returning id", status, reason)


async def test_the_detail_is_worded_as_the_contract_says(room: Room) -> None:
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(room.visit(click_id="c1"), sale)
    await _deliver_to_meta(room)
    found = await _json(room, sale.id)
    attempts = found["deliveries"][0]["attempts"]
    ats = [attempt.pop("at") for attempt in attempts]
    ledger = ("number", "outcome", "events", "fbtrace_id", "left_out")
    assert [tuple(one.pop(name) for name in ledger) for one in attempts] == [
        (1, "delivered", 1, None, []),
        (2, "delivered", 1, None, []),
    ]
    sent = found["deliveries"][0].pop("sent")
    assert sent["event_name"] == "Purchase" and {"em", "client_user_agent"} <= set(
        sent["user_data"]
    )
    assert {"value", "currency", "order_id"} <= set(sent["custom_data"]) and "event_time" in sent[
        "fields"
    ]
    assert EMAIL not in str(sent) and "297" not in str(sent)
    assert ats == sorted(ats) and all(at.endswith("Z") for at in ats)
    [row] = await room.rows("select event_id from capi_events")
    assert found.pop("match")["signals"][0] == {"name": "click_id", "weight": 1.0, "agrees": True}
    stamp = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found == {
        "id": sale.id,
        "event_id": row["event_id"],
        "kind": "sale",
        "status": "approved",
        "tenant": "loja",
        "funnel": "curso",
        "gateway": "hotmart",
        "order_id": "HP1",
        "value": "297.00",
        "currency": "BRL",
        "occurred_at": stamp,
        "received_at": stamp,
        "deliveries": [
            {
                "destination": "pixel",
                "state": "delivered",
                "next_at": None,
                "attempts": [
                    {
                        "http_status": 500,
                        "code": 2,
                        "subcode": None,
                        "latency_ms": 30,
                        "answer": "try later",
                    },
                    {
                        "http_status": 200,
                        "code": None,
                        "subcode": None,
                        "latency_ms": 41,
                        "answer": "ok",
                    },
                ],
            }
        ],
        "outcome": {"state": "delivered", "reason": None},
    }


async def test_a_field_that_meta_refused_is_named_where_the_next_request_went_without_it(
    room: Room,
) -> None:
    sale = room.sale(tracking=Tracking(click_id="c1"))
    await room.deliver(room.visit(click_id="c1"), sale)
    for number, subcode in ((1, 2804001), (1, 2804008), (1, None), (2, None)):
        await room.rows(
            "insert into dispatch_attempts (created_at, tenant_id, capi_event_id, capi_created_at, "
            "attempt_no, subcode)"
            " select clock_timestamp(), 'loja', id, created_at, %s, %s from capi_events returning "
            "capi_event_id",
            number,
            subcode,
        )
    attempts = (await _json(room, sale.id))["deliveries"][0]["attempts"]
    contents = "custom_data.contents[] without id"
    assert [one["left_out"] for one in attempts] == [
        [],
        ["user_data.fbc"],
        ["user_data.fbc", contents],
        [],
    ]


async def test_the_match_explains_itself(room: Room) -> None:
    sale = room.sale(tracking=Tracking(click_id="c1", fbclid="IwAR"))
    await room.deliver(
        room.visit(click_id="c1"), room.visit(click_id="c2", fbclid="IwAR", ip="203.0.113.9"), sale
    )
    match = (await _json(room, sale.id))["match"]
    assert (match["decision"], match["rule"], match["score"], match["click_id"]) == (
        "match",
        "click_id",
        1.0,
        "c1",
    )
    assert match["runner_up"] == {"click_id": "c2", "rule": "fbclid", "score": 0.95}


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        ("sending", None, {"state": "in_flight", "reason": None}),
        ("dead", "rejected", {"state": "dead", "reason": "rejected"}),
        ("withheld", "no_consent", {"state": "withheld", "reason": "no_consent"}),
    ],
)
async def test_the_outcome_follows_the_deliveries(
    room: Room, status: str, reason: str | None, outcome: dict[str, Any]
) -> None:
    sale = room.sale()
    await room.deliver(sale)
    await _deliver_to_meta(room, status, reason)
    assert (await _json(room, sale.id))["outcome"] == outcome


async def test_an_event_of_another_tenant_is_not_there(room: Room) -> None:
    sale = room.sale()
    await room.deliver(sale)
    assert await room.reader.get_event("outra", sale.id) is None
    assert await room.reader.get_event(None, "ev_unknown") is None
    assert (await _json(room, sale.id, None))["id"] == sale.id


@pytest.fixture
async def full(room: Room) -> Room:
    """A lead with an e-mail, its sale, a refused sale and a plain view."""
    await room.deliver(
        room.visit(
            "lead", key="lead", at=-20, click_id="c1", fbclid="IwAR", user=UserData(em=[EMAIL])
        ),
        room.visit("pageview", key="view", at=-15, ip=None, user_agent=None),
        room.sale("approved", key="hotmart:sale", order="HP1"),
        room.sale("refused", key="hotmart:refused", order="HP2", at=5, customer=Customer()),
    )
    return room


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({}, ["hotmart:refused", "hotmart:sale", "view", "lead"]),
        (
            {"tenant": "loja", "funnel": "curso"},
            ["hotmart:refused", "hotmart:sale", "view", "lead"],
        ),
        ({"tenant": "outra"}, []),
        ({"funnel": "outro"}, []),
        ({"kind": "lead"}, ["lead"]),
        ({"status": "refused"}, ["hotmart:refused"]),
        ({"gateway": "hotmart"}, ["hotmart:refused", "hotmart:sale"]),
        ({"order_id": "HP1"}, ["hotmart:sale"]),
        ({"click_id": "c1"}, ["hotmart:sale", "lead"]),
        ({"outcome": "in_flight"}, ["hotmart:sale", "lead"]),
        ({"outcome": "withheld"}, ["hotmart:refused", "view"]),
        ({"decision": "match"}, ["hotmart:sale"]),
        ({"decision": "unmatched"}, ["hotmart:refused"]),
        ({"email_sha256": EMAIL}, ["hotmart:sale", "lead"]),
        ({"since": NOW - timedelta(minutes=16)}, ["hotmart:refused", "hotmart:sale", "view"]),
        ({"until": (NOW - timedelta(minutes=15)).replace(tzinfo=None)}, ["lead"]),
        ({"kind": "sale", "outcome": "withheld", "tenant": "loja"}, ["hotmart:refused"]),
    ],
)
async def test_filters(full: Room, filters: dict[str, Any], keys: list[str]) -> None:
    page = await full.reader.list_events(EventFilter(**filters), cursor=None, limit=50)
    assert [event.id for event in page.events] == [event_row_id("loja", key) for key in keys]
    assert page.next_cursor is None


async def test_pages_hold_every_event_once_even_while_new_ones_arrive(room: Room) -> None:
    events = [room.visit("lead", at=-n // 2) for n in range(7)]  # some at the same moment
    await room.deliver(*events)
    seen: list[str] = []
    cursor = None
    for _ in range(10):
        page = await room.reader.list_events(EventFilter(tenant="loja"), cursor=cursor, limit=3)
        seen += [event.id for event in page.events]
        cursor = page.next_cursor
        if cursor is None:
            break
        await room.deliver(room.visit("lead", at=1))
    assert sorted(seen) == sorted(event.id for event in events)


async def test_a_list_is_short(full: Room) -> None:
    page = await full.reader.list_events(EventFilter(order_id="HP1"), cursor=None, limit=1)
    [event] = msgspec.json.decode(msgspec.json.encode(page))["events"]
    assert set(event["match"]) == {"decision", "rule", "score", "click_id"}
    assert event["deliveries"] == [{"destination": "pixel", "state": "pending"}]


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm90IGEgY3Vyc29y", "MjAyNS0wMS0wMSBldg==", "\xff", "====", "a" * 1001]
)
async def test_a_strange_cursor_is_refused(room: Room, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await room.reader.list_events(EventFilter(), cursor=cursor, limit=10)


async def test_the_reader_says_whether_postgresql_answers(room: Room) -> None:
    assert await room.reader.ping()
    await room.database.close()
    assert not await room.reader.ping()
