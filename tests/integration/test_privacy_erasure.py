"""Who asks to be forgotten is found nowhere afterwards, neither in tables nor in queues, and is
sent nowhere any more.

Over a real PostgreSQL and a real broker; what is counted, and that a purchase was sent, stays.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from sinal_api.app import Parts, build
from sinal_core.nats import Bus, stream_reader
from sinal_core.outbox.ledger import Ref, Result
from sinal_core.plans.testing import StaticPlans
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_hub.model.events import Event, UserData, encode
from sinal_hub.model.sale import Client, Customer, Tracking
from sinal_hub.privacy.erasure import Eraser, ErasureUnfinished
from sinal_hub.privacy.queues import Incoming, QuarantineReader
from sinal_hub.privacy.spools import BroadcastSpools
from sinal_hub.quarantine.keeping import SealedQuarantine
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.status.ledger import LedgerCheck
from sinal_hub.status.ports import Bus as Streams
from sinal_hub.store.delivery import DeliveryStore
from sinal_hub.store.housekeeping import HousekeepingStore
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.privacy import PrivacyStore

from tests.support.fix_bus import MakeTenant
from tests.support.fix_matching import EMAIL, PHONE, Room
from tests.support.fix_operations import ADMIN_KEY, tenants

CLEAR_EMAIL, CLEAR_PHONE = "Ana@Example.com", "(11) 98765-4321"
OTHER = hashlib.sha256(b"bia@example.com").hexdigest()
ANA = Customer(em=[EMAIL], ph=[PHONE])
BIA = Customer(em=[OTHER])
DUMP = """
select string_agg(t, E'\n') as text from (
    {unions}
) all_rows (t)
"""


@dataclass
class Rig:
    """The API, the eraser, and what they look into."""

    room: Room
    bus: Bus
    api: httpx.AsyncClient
    eraser: Eraser
    quarantine: SealedQuarantine

    async def ask(self, **person: str) -> str:
        """Ask for an erasure; returns its id."""
        answer = await self.api.post("/api/v1/privacy/erasures", json={"tenant": "loja", **person})
        assert answer.status_code == 202, answer.text
        assert answer.json()["state"] == "waiting"
        found: str = answer.json()["id"]
        return found

    async def erase(self, **person: str) -> dict[str, int]:
        """Ask, and have it done; returns the counts."""
        erasure = await self.ask(**person)
        assert await self.eraser.run() == 1
        answer = (await self.api.get(f"/api/v1/privacy/erasures/{erasure}")).json()
        assert answer["state"] == "done"
        counts: dict[str, int] = answer["counts"]
        return counts

    async def export(self, **person: str) -> dict[str, list[Any]]:
        """Everything kept of a person."""
        answer = await self.api.post("/api/v1/privacy/exports", json={"tenant": "loja", **person})
        assert answer.status_code == 200, answer.text
        data: dict[str, list[Any]] = answer.json()["data"]
        return data

    async def dump(self) -> str:
        """Every row of every table, and every queue, as text."""
        tables = await self.room.rows(
            "select relname from pg_class where relkind in ('r', 'p') and not relispartition "
            "and relnamespace = 'public'::regnamespace"
        )
        unions = " union all ".join(
            f"select row_to_json(x)::text from {row['relname']} x" for row in tables
        )
        text = (await self.room.rows(DUMP.format(unions=unions)))[0]["text"] or ""
        async for content in stream_reader.scan(self.bus, *stream_reader.incoming("loja")):
            text += content.body.decode()
        return text

    async def queue(self, event: Event) -> None:
        """An accepted event that nobody has worked on."""
        await self.bus.publish(
            names.in_subject("loja", event.kind), encode(event), msg_id=event.key
        )

    async def queued(self) -> int:
        """Messages that wait to be matched."""
        return await stream_reader.count(self.bus, *stream_reader.incoming("loja"))

    async def deliver_all(self) -> None:
        """As if Meta had taken whatever waits, and echoed it."""
        store = DeliveryStore(self.room.database)
        rows = await self.room.rows(
            "select id, created_at from capi_events where status = 'pending'"
        )
        refs = [Ref(row["id"], round(row["created_at"].timestamp() * 1000)) for row in rows]
        claim = await store.claim("loja", "pixel", refs, lease_s=30)
        results = [Result(row=row, outcome="delivered", status="delivered") for row in claim.rows]
        await store.settle("loja", results, request=claim.request)
        async with self.room.database.transaction() as connection:
            await connection.execute(
                "update dispatch_attempts set provider_response = %s", (f"for {EMAIL}",)
            )
            await connection.execute("update dispatch_requests set answer = %s", (f"for {EMAIL}",))


@pytest.fixture
async def rig(room: Room, bus: Bus, make_tenant: MakeTenant) -> AsyncIterator[Rig]:
    await make_tenant("loja", names.MATCH_CONSUMER, names.dispatch_consumer("pixel"))
    keyring, plans = Keyring.generate(), StaticPlans(*tenants())
    streams: Streams = bus
    matching = MatchStore(room.database)
    eraser = Eraser(
        room.database,
        PrivacyStore(room.database),
        Incoming(bus, matching),
        QuarantineReader(bus, keyring),
        BroadcastSpools(bus),
        plans,
    )
    parts = Parts(room.database, bus, plans, SecretStr(ADMIN_KEY), streams=streams, keyring=keyring)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    transport = httpx.ASGITransport(app=build(parts))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as api:
        yield Rig(
            room, bus, api, eraser, SealedQuarantine(bucket=QuarantineBucket(bus), keyring=keyring)
        )


async def live(rig: Rig) -> None:
    """Ana visits, gives her e-mail, buys, and another order waits; Bia buys too."""
    room = rig.room
    ana: dict[str, Any] = {
        "click_id": "ana-click",
        "session_id": "ana-session",
        "fbp": "fb.1.1.ana",
        "ip": "203.0.113.50",
    }
    await room.deliver(
        room.visit("click", **ana),
        room.visit("lead", event_id="ana-browser-event", user=UserData(em=[EMAIL]), **ana),
        room.visit("pageview", session_id="ana-session", ip="203.0.113.50"),
        room.sale(
            order="HP-ana",
            customer=ANA,
            tracking=Tracking(click_id="ana-click"),
            client=Client(ip="203.0.113.50"),
        ),
        room.visit("click", click_id="bia-click", session_id="bia-session"),
        room.sale(order="HP-bia", customer=BIA, tracking=Tracking(click_id="bia-click")),
    )
    await rig.deliver_all()
    await room.deliver(
        room.sale(
            "pending", order="HP-ana-2", customer=ANA, tracking=Tracking(click_id="ana-click")
        )
    )
    await room.deliver(
        room.sale(order="HP-ana-3", customer=ANA, tracking=Tracking(click_id="\x00")), deliveries=5
    )  # ends as a dead letter


TRACES = (
    EMAIL,
    PHONE,
    "ana-click",
    "ana-session",
    "203.0.113.50",
    "fb.1.1.ana",
    "HP-ana",
    "ana-browser-event",
)


async def test_nothing_of_the_person_is_left_in_any_table(rig: Rig) -> None:
    await live(rig)
    before = await rig.dump()
    assert all(trace in before for trace in TRACES)
    ledger = await rig.room.reader.ledger("loja")
    counts = await rig.erase(email=CLEAR_EMAIL)
    after = await rig.dump()
    assert [trace for trace in TRACES if trace in after] == []
    assert all(trace in after for trace in (OTHER, "bia-click", "bia-session", "HP-bia"))
    assert counts["events"] >= 5 and counts["clicks"] >= 1 and counts["conversions"] == 2
    now = await rig.room.reader.ledger("loja")
    assert now.accepted == ledger.accepted and now.delivered == ledger.delivered
    assert (
        await LedgerCheck(HousekeepingStore(rig.room.database), rig.room.plans, grace_s=-1).check()
        == []
    )


async def test_what_waited_is_withheld_and_stays_so(rig: Rig) -> None:
    await live(rig)
    waiting = (await rig.room.rows("select id from capi_events where status = 'pending'"))[0]["id"]
    await rig.erase(email=CLEAR_EMAIL)
    row = (await rig.room.rows("select * from capi_events where id = %s", waiting))[0]
    assert (row["status"], row["reason"], row["payload_json"]) == ("withheld", "erased", "{}")


async def test_erasing_twice_finds_nothing_more(rig: Rig) -> None:
    await live(rig)
    await rig.erase(email=CLEAR_EMAIL)
    counts = await rig.erase(email=CLEAR_EMAIL)
    assert all(count == 0 for count in counts.values()), counts


async def test_a_purchase_that_was_sent_is_not_sent_again_for_being_forgotten(rig: Rig) -> None:
    await live(rig)
    await rig.erase(email=CLEAR_EMAIL, order_id="HP-ana")
    async with rig.room.database.transaction() as connection:
        # their time is over; the claim's never is
        await connection.execute("delete from privacy_marks")
    again = rig.room.sale(order="HP-ana", customer=ANA, at=60 * 24 * 40)
    await rig.room.deliver(again)
    assert await rig.room.outcome(again) == ("withheld", "duplicate")


async def test_an_event_that_waits_in_the_queue_is_taken_out_and_counted(rig: Rig) -> None:
    room = rig.room
    await live(rig)
    queued = [
        room.sale(order="HP-late", customer=ANA),
        room.visit("pageview", click_id="ana-click"),
        room.visit("lead", user=UserData(ph=[PHONE])),
    ]
    other = room.sale(order="HP-bia-2", customer=BIA)
    for event in (*queued, other):
        await rig.queue(event)
    accepted = (await room.reader.ledger("loja")).accepted
    counts = await rig.erase(email=CLEAR_EMAIL, phone=CLEAR_PHONE)
    assert counts["queued_events"] == 3 and await rig.queued() == 1
    assert (await room.reader.ledger("loja")).accepted == accepted + 3
    for event in queued:
        assert await room.outcome(event) == ("withheld", "erased")
    assert [trace for trace in (*TRACES, "HP-late") if trace in await rig.dump()] == []


async def test_what_was_on_its_way_when_it_was_asked_is_dropped_when_it_arrives(rig: Rig) -> None:
    room = rig.room
    late = room.sale(order="HP-late", customer=ANA)
    spooled = room.visit("lead", user=UserData(em=[EMAIL]))
    await rig.ask(email=CLEAR_EMAIL)
    await room.deliver(late, spooled)
    for event in (late, spooled):
        assert await room.outcome(event) == ("withheld", "erased")
    assert await room.sent() == []
    assert EMAIL not in str(await room.rows("select * from events"))
    await room.deliver(late)  # the broker delivers it again
    assert (await room.reader.ledger("loja")).accepted == 2
    anew = room.sale(order="HP-new", customer=ANA, at=60)
    await room.deliver(anew)
    assert await room.outcome(anew) == ("in_flight", None)


async def test_quarantine_is_opened_and_searched(rig: Rig) -> None:
    for body in (
        b'{"mail": "ana@example.com"}',
        b"phone=%2B5511987654321",
        b'{"mail": "bia@example.com"}',
    ):
        await rig.quarantine.keep(tenant="loja", integration="i", gateway="g", raw=body, reason="r")
    large = (
        b'{"mail": "ana@example.com", "more": "'
        + os.urandom(900_000).hex().encode()[:900_000]
        + b'"}'
    )
    await rig.quarantine.keep(tenant="loja", integration="i", gateway="g", raw=large, reason="r")
    await rig.quarantine.keep(
        tenant="outra", integration="i", gateway="g", raw=b"ana@example.com", reason="r"
    )
    shown = await rig.export(email=CLEAR_EMAIL, phone=CLEAR_PHONE)
    assert len(shown["quarantine"]) == 3
    counts = await rig.erase(email=CLEAR_EMAIL, phone=CLEAR_PHONE)
    assert counts["quarantine"] == 3
    assert (await rig.export(email=CLEAR_EMAIL, phone=CLEAR_PHONE))["quarantine"] == []
    assert len((await rig.export(email="bia@example.com"))["quarantine"]) == 1


async def test_the_edges_hear_of_it(rig: Rig) -> None:
    heard = await rig.bus.link.client.subscribe(names.FORGET_SUBJECT)
    await rig.bus.flush()
    await rig.erase(email=CLEAR_EMAIL, order_id="HP1")
    body = msgspec.json.decode((await heard.next_msg(timeout=60)).data)
    assert (body["tenant"], body["emails"], body["orders"]) == ("loja", [EMAIL], ["HP1"])


async def test_a_person_sees_everything_before(rig: Rig) -> None:
    await live(rig)
    # as if it still waited for a late click
    async with rig.room.database.transaction() as connection:
        await connection.execute(
            "insert into open_orders (tenant_id, key, conversion_id, last_at) "
            "select tenant_id, %s, id, now() from conversions where order_id = 'HP-ana'",
            (f"em:{EMAIL}",),
        )
    link = rig.room.sale("ignored", order="HP-ana", names=["pi-ana"], customer=ANA)
    trial = rig.room.sale(
        "subscription_changed", order=None, subscription_id="sub-ana", trial=True, customer=ANA
    )
    other = rig.room.sale("ignored", order="HP-bia", names=["pi-bia"], customer=Customer())
    await rig.room.deliver(link, trial, other)
    await rig.queue(rig.room.sale(order="HP-late", customer=ANA))
    data = await rig.export(email=CLEAR_EMAIL)
    assert {table for table, rows in data.items() if rows} >= {
        "events", "clicks", "sessions", "identities", "conversions", "matches", "capi_events", "dispatch_attempts",
        "dead_letters", "queued_events", "open_orders", "order_names",
    }  # fmt: skip
    text = msgspec.json.encode(data).decode()
    assert all(trace in text for trace in TRACES)
    assert all(trace not in text for trace in (OTHER, "bia-click", "HP-bia"))
    counts = await rig.erase(email=CLEAR_EMAIL)
    assert set(data) == set(counts), "what is erased of a person is shown to them"
    assert [row["name"] for row in await rig.room.rows("select name from order_names")] == [
        "pi-bia"
    ]


async def test_an_order_is_forgotten_without_its_buyer_s_others(rig: Rig) -> None:
    await live(rig)
    await rig.erase(order_id="HP-ana-2")
    text = await rig.dump()
    assert "HP-ana-2" not in text
    assert EMAIL in text and OTHER in text


async def test_the_audit_log_holds_digests_of_digests_and_counts(rig: Rig) -> None:
    await live(rig)
    await rig.erase(email=CLEAR_EMAIL, phone=CLEAR_PHONE, order_id="HP-ana")
    rows = await rig.room.rows("select action, target, detail from audit_log order by id")
    assert [row["action"] for row in rows] == ["privacy.erase", "privacy.erased"]
    assert rows[1]["detail"]["counts"]["events"] >= 5
    kept = str(rows) + str(await rig.room.rows("select * from erasures"))
    assert all(value not in kept for value in (*TRACES, "example.com", "98765"))


async def test_one_that_cannot_be_done_waits_and_is_done_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(rig)
    erasure = await rig.ask(email=CLEAR_EMAIL)
    with monkeypatch.context() as patch:
        patch.setattr(type(rig.bus.link), "connected", property(lambda _: False))
        with pytest.raises(ErasureUnfinished):
            await rig.eraser.run()
    answer = (await rig.api.get(f"/api/v1/privacy/erasures/{erasure}")).json()
    assert (answer["state"], answer["tries"], answer["problem"]) == ("waiting", 1, "BusUnavailable")
    assert await rig.eraser.run() == 1
    assert EMAIL not in await rig.dump()


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "tenant"),
        ({"tenant": "loja"}, 400, "email"),
        ({"tenant": "loja", "email": "nobody"}, 400, "email"),
        ({"tenant": "loja", "phone": "12"}, 400, "phone"),
        ({"tenant": "loja", "cpf": "1"}, 400, "cpf"),
        ({"tenant": "nowhere", "email": "a@example.com"}, 404, "nowhere"),
    ],
)
async def test_a_bad_request_says_what_is_wrong(
    rig: Rig, body: dict[str, str], status: int, named: str
) -> None:
    for path in ("erasures", "exports"):
        answer = await rig.api.post(f"/api/v1/privacy/{path}", json=body)
        assert answer.status_code == status and named in answer.text


async def test_a_tenant_s_key_reaches_its_tenant_and_only_an_admin_may(rig: Rig) -> None:
    await live(rig)
    erasure = await rig.ask(email=CLEAR_EMAIL)
    keys = {}
    for tenant, role in (("loja", "operator"), ("loja", "admin"), ("outra", "admin")):
        made = await rig.api.post(
            "/api/v1/keys", json={"tenant": tenant, "role": role, "name": "k"}
        )
        keys[tenant, role] = {"Authorization": f"Bearer {made.json()['key']}"}
    body, path = {"email": CLEAR_EMAIL}, f"/api/v1/privacy/erasures/{erasure}"
    denied = await rig.api.post(
        "/api/v1/privacy/exports", json=body, headers=keys["loja", "operator"]
    )
    assert denied.status_code == 403
    assert (await rig.api.get(path, headers=keys["outra", "admin"])).status_code == 404
    assert (await rig.api.get(path, headers=keys["loja", "admin"])).status_code == 200
    found = await rig.api.post("/api/v1/privacy/exports", json=body, headers=keys["outra", "admin"])
    assert not any(found.json()["data"].values())


async def test_a_number_that_orders_of_two_gateways_have_is_refused(rig: Rig) -> None:
    sales = [rig.room.sale(order="1001", gateway=gateway) for gateway in ("monetizze", "eduzz")]
    await rig.room.deliver(*sales)
    for route in ("erasures", "exports"):
        answer = await rig.api.post(
            f"/api/v1/privacy/{route}", json={"tenant": "loja", "order_id": "1001"}
        )
        assert answer.status_code == 409, answer.text
        assert (
            "eduzz, monetizze" in answer.json()["detail"]
            and "e-mail or phone" in answer.json()["detail"]
        )
    assert len(await rig.room.rows("select id from conversions where order_id = '1001'")) == 2
