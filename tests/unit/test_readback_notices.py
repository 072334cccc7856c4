"""A notice that carries an id only becomes a sale: described at the edge, read by the match role,
lost by nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sinal_core.nats.lane import Lane, match_lane
from sinal_core.nats.message import Message
from sinal_core.nats.testing import MemoryBus, MemoryLanes
from sinal_core.plans.testing import StaticPlans
from sinal_crds.plan import IntegrationPlan
from sinal_hub.gateways import mercadopago
from sinal_hub.ingest.testing import sha256
from sinal_hub.model.events import Event, decode_event
from sinal_hub.model.readback import ReadBack
from sinal_hub.readback import ReadBackWorker, worker
from sinal_hub.readback.api import Busy, Denied, NotThere
from sinal_hub.store.matching_rows import DeadLetter

from tests.support.fix_ingest import EdgeWorld, a_tenant

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOTICE = (FIXTURES / "gateways" / "mercadopago" / "payment.updated.reconstructed.json").read_bytes()
PAYMENT = json.loads(
    (FIXTURES / "readback" / "mercadopago" / "payment.approved.reconstructed.json").read_text()
)
TOKEN = "tok-mp"
CREDENTIALS = {"webhookSecret": "s", "accessToken": "APP_USR-1"}
MP = IntegrationPlan(
    name="mp",
    gateway="mercadopago",
    funnel="curso",
    token_sha256=sha256(TOKEN),
    credentials=CREDENTIALS,
)


class Api:
    """Answers with a payment, or raises what it is told to."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = json.dumps(PAYMENT).encode()
        self.calls: list[tuple[str, str, str, Mapping[str, str]]] = []
        self.hangs = False

    async def get(
        self, gateway: str, base_url: str, call: ReadBack, credentials: Mapping[str, str]
    ) -> bytes:
        self.calls.append((gateway, base_url, call.path, credentials))
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


STAMP = int(time.time())  # what is signed must be recent


class World:
    """The edge, a lane, the reader, and a matching that keeps what it is given."""

    def __init__(self, integration: IntegrationPlan = MP) -> None:
        self.tenant = a_tenant(integrations=(integration,))
        self.edge = EdgeWorld(tenants=(self.tenant,), gateways={"mercadopago": mercadopago})
        self.bus, self.api, self.now = MemoryBus("loja"), Api(), 0.0
        self.edge.bus = self.bus  # type: ignore[assignment]  # the same ports
        self.matched: list[Event] = []
        self.dead: list[DeadLetter] = []
        self.plans = StaticPlans(self.tenant)
        self.reader = ReadBackWorker(
            self._match,
            api=self.api,
            bus=self.bus,
            plans=self.plans,
            gateways={"mercadopago": mercadopago},
            dead_letter=self._bury,
            clock=lambda: self.now,
        )
        self.lanes = MemoryLanes(self.bus, self.reader.handle)
        self.lanes.set([match_lane("loja")])

    async def _match(self, lane: Lane, messages: list[Message]) -> None:
        del lane
        self.matched += [decode_event(message.body) for message in messages]
        for message in messages:
            await message.ack()

    async def _bury(self, letter: DeadLetter) -> None:
        self.dead.append(letter)

    async def post(
        self, raw: bytes = NOTICE, *, payment: str = "1320000001", request: str = "r1"
    ) -> Any:
        manifest = f"id:{payment};request-id:{request};ts:{STAMP};".encode()
        signature = hmac.new(b"s", manifest, hashlib.sha256).hexdigest()
        headers = {"x-signature": f"ts={STAMP},v1={signature}", "x-request-id": request}
        url = f"/api/v1/webhooks/mercadopago/{TOKEN}?data.id={payment}&type=payment"
        return await self.edge.client().post(url, raw, headers=headers)

    async def deliver(self) -> list[tuple[str, str | None]]:
        """Everything that is due; what matching got of it, as status and order."""
        before = len(self.matched)
        await self.lanes.deliver()
        await self.lanes.deliver()
        return [
            (event.sale.status, event.order_id) for event in self.matched[before:] if event.sale
        ]


@pytest.fixture
def world() -> World:
    return World()


async def test_a_notice_becomes_the_payments_sale(world: World) -> None:
    assert (await world.post()).status == 200
    assert await world.deliver() == [("ignored", "1320000001"), ("approved", "1320000001")]
    [call] = world.api.calls
    assert call == (
        "mercadopago",
        "https://api.mercadopago.com",
        "/v1/payments/1320000001",
        CREDENTIALS,
    )
    sale = world.matched[-1]
    assert (sale.value, sale.currency, sale.click_id) == ("97.50", "BRL", "CLICKID_FAKE")
    assert (sale.integration, sale.funnel, sale.readback) == ("mp", "curso", None)
    assert world.bus.waiting() == []


async def test_the_message_holds_no_credential(world: World) -> None:
    await world.post()
    [stored] = world.bus.stored
    assert b"APP_USR-1" not in stored.body and b"{accessToken}" in stored.body


async def test_the_edge_answers_without_asking_anybody(world: World) -> None:
    world.api.hangs = True
    assert (await world.post()).status == 200
    assert world.api.calls == []


async def test_a_forged_notice_asks_nobody(world: World) -> None:
    url = f"/api/v1/webhooks/mercadopago/{TOKEN}?data.id=1320000001"
    assert (
        await world.edge.client().post(url, NOTICE, headers={"x-signature": "ts=1,v1=00"})
    ).status == 401
    assert world.bus.stored == []


async def test_two_notices_of_one_state_are_one_sale(world: World) -> None:
    await world.post()
    await world.post(NOTICE.replace(b"113000001", b"113000002"), request="r2")
    await world.deliver()
    assert len(world.api.calls) == 2
    assert [stored.msg_id for stored in world.bus.stored].count(
        "mercadopago:1320000001:approved:mp"
    ) == 1


async def test_a_repeated_notice_is_one(world: World) -> None:
    assert [(await world.post()).json()["events"][0]["duplicate"] for _ in range(2)] == [
        False,
        True,
    ]


async def test_a_busy_api_is_asked_again(world: World) -> None:
    world.api.answer = Busy("HTTP 503")
    await world.post()
    assert await world.deliver() == []
    [stored] = world.bus.waiting()
    assert all(answer.startswith(b"-NAK") and b"delay" in answer for answer in stored.answers)
    world.api.answer = json.dumps(PAYMENT).encode()
    assert await world.deliver() == [("ignored", "1320000001"), ("approved", "1320000001")]


async def test_an_api_that_answers_between_is_not_busy_in_a_row(world: World) -> None:
    await world.post()
    busy, answers = Busy("TimeoutError"), NotThere("HTTP 404")
    for answer in (busy, busy, answers, busy, json.dumps(PAYMENT).encode()):
        world.api.answer = answer
        await world.lanes.deliver()
    assert len(world.api.calls) == 5


async def test_a_busy_api_is_left_alone_for_a_while(world: World) -> None:
    world.api.answer = Busy("TimeoutError")
    await world.post()
    for _ in range(4):
        await world.deliver()
    assert len(world.api.calls) == worker.REST_AFTER
    world.now = worker.REST_S + 1
    world.api.answer = json.dumps(PAYMENT).encode()
    assert ("approved", "1320000001") in await world.deliver()


async def test_a_hanging_api_does_not_hold_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BUDGET_S", 0.05)
    world.api.hangs = True
    await world.post()
    click = Event(
        id="ev_1",
        key="k1",
        kind="click",
        tenant="loja",
        funnel="curso",
        received_at=1,
        occurred_at=1,
        source="browser",
    )
    await world.bus.publish("t.loja.in.click", msgspec.json.encode(click), msg_id="k1")
    await asyncio.wait_for(world.lanes.deliver(), 60)
    assert [event.kind for event in world.matched] == ["click"]
    assert len(world.bus.waiting()) == 1


@pytest.mark.parametrize(
    ("fault", "deliveries"),
    [
        (Busy("HTTP 500"), worker.BUSY_DELIVERIES),
        (Denied("HTTP 401"), worker.DENIED_DELIVERIES),
        (b"<html/>", 1),
    ],
)
async def test_what_never_succeeds_is_a_dead_letter_that_can_be_replayed(
    fault: Exception | bytes, deliveries: int, world: World
) -> None:
    world.api.answer = fault
    await world.post()
    for _ in range(deliveries):
        assert world.dead == []
        await world.lanes.deliver()
    [letter] = world.dead
    assert (letter.reason, letter.attempts, letter.tenant) == ("exhausted", deliveries, "loja")
    assert decode_event(letter.body.encode()).readback is not None
    assert world.bus.waiting() == [] and world.matched == []


async def test_a_missing_access_token_is_told_like_a_wrong_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(msgspec.structs.replace(MP, credentials={"webhookSecret": "s"}))

    async def get(
        gateway: str, base_url: str, call: ReadBack, credentials: Mapping[str, str]
    ) -> bytes:
        del gateway, base_url
        call.filled(credentials)
        raise AssertionError("no call without a token")

    monkeypatch.setattr(world.api, "get", get)
    await world.post()
    for _ in range(worker.DENIED_DELIVERIES):
        await world.lanes.deliver()
    assert [letter.detail for letter in world.dead] == ["read-back: denied"]


async def test_a_payment_that_is_not_there_is_a_record_and_no_more(world: World) -> None:
    world.api.answer = NotThere("HTTP 404")
    await world.post()
    for _ in range(worker.MISSING_DELIVERIES):
        await world.lanes.deliver()
    assert [event.sale.status for event in world.matched if event.sale] == ["ignored"]
    assert world.dead == [] and world.bus.waiting() == []


async def test_the_product_filter_holds_for_what_is_read(world: World) -> None:
    world = World(msgspec.structs.replace(MP, products=("another",)))
    await world.post()
    assert await world.deliver() == [("ignored", "1320000001")]


async def test_a_stopped_broker_leaves_the_notice_waiting(world: World) -> None:
    await world.post()
    world.bus.connected = False
    await world.lanes.deliver()
    assert world.matched == [] and len(world.bus.waiting()) == 1
    world.bus.connected = True
    assert ("approved", "1320000001") in await world.deliver()


async def test_notices_of_other_topics_are_recorded_at_once(world: World) -> None:
    await world.post(NOTICE.replace(b'"type": "payment"', b'"type": "plan"'))
    assert await world.deliver() == [("ignored", None)]
    assert world.api.calls == []


async def test_what_is_no_event_is_left_to_matching(world: World) -> None:
    given: list[Message] = []

    async def match(lane: Lane, messages: list[Message]) -> None:
        del lane
        given.extend(messages)

    world.reader._matching = match
    await world.bus.publish("t.loja.in.sale", b'{"readback": broken', msg_id="x")
    await world.lanes.deliver()
    assert [message.body for message in given] == [b'{"readback": broken']


async def test_a_notice_of_a_suspended_integration_is_read_when_it_is_resumed(world: World) -> None:
    await world.post()
    world.plans.set(
        msgspec.structs.replace(
            world.tenant, integrations=(msgspec.structs.replace(MP, suspended=True),)
        )
    )
    assert await world.deliver() == []
    assert world.api.calls == [] and len(world.bus.waiting()) == 1 and world.dead == []
    world.plans.set(world.tenant)
    assert await world.deliver() == [("ignored", "1320000001"), ("approved", "1320000001")]
