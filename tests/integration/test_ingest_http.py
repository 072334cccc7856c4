"""The edge over real HTTP with a real broker: a 2xx means stored, and senders that misbehave cost
nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from nats.aio.client import Client as NatsClient

from sinal_core.http import protocol
from sinal_core.http.server import GRACE_S
from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_crds.keyring import Keyring
from sinal_crds.plan import IntegrationPlan
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings
from sinal_hub.ingest.testing import sha256
from sinal_hub.model.events import decode_event
from sinal_hub.quarantine.keeping import open_kept, read_head

from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SECRET, SERVER_KEY, TOKEN, a_tenant
from tests.support.fix_raw_http import Heard, sender
from tests.support.nats_process import NatsProcess
from tests.support.probes import ProbedClient, probed

KEYRING = Keyring.generate()
LEAD = "/api/v1/track/lead"
HOTTOK = {"x-hotmart-hottok": SECRET}
SALE = {
    "id": "0f4b8a1e-6f0e-4f7a-8f3e-2f4f3c1f9a11",
    "creation_date": 1_789_995_600_000,
    "event": "PURCHASE_APPROVED",
    "version": "2.0.0",
    "data": {
        "product": {"id": 4_774_438, "name": "Curso"},
        "buyer": {
            "email": "maria@loja.example",
            "name": "Maria Silva",
            "checkout_phone": "11999998888",
        },
        "purchase": {
            "transaction": "HP0001112223",
            "status": "APPROVED",
            "price": {"value": 297.0, "currency_value": "BRL"},
            "payment": {"type": "PIX", "installments_number": 1},
            "origin": {"xcod": "click1"},
        },
    },
}
BEACON = {"origin": LANDING, "content-type": "text/plain;charset=UTF-8"}


HOTMART = IntegrationPlan(
    name="vendas",
    gateway="hotmart",
    funnel="curso",
    token_sha256=sha256(TOKEN),
    credentials={"hottok": SECRET},
)


@asynccontextmanager
async def serving(
    bus: Bus, *, ack_timeout_s: float | None = None, grace_s: int = GRACE_S, **settings: Any
) -> AsyncIterator[IngestServer]:
    plans = StaticPlans(a_tenant(integrations=(HOTMART,)))
    configured = ServerSettings(port=0, **settings)
    server = IngestServer(
        configured, bus, plans, keyring=KEYRING, ack_timeout_s=ack_timeout_s, grace_s=grace_s
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def http(bus: Bus) -> AsyncIterator[ProbedClient]:
    """A client of an edge on the test's bus."""
    async with (
        serving(bus) as server,
        probed(server) as probes,
        ProbedClient(server.url, probes) as connected,
    ):
        yield connected


async def stored(client: NatsClient) -> list[Any]:
    js = client.jetstream()
    info = await js.stream_info("T-loja")
    return [await js.get_msg("T-loja", seq) for seq in range(1, info.state.last_seq + 1)]


async def test_accepted_beacon_is_in_the_stream_when_the_answer_comes(
    http: httpx.AsyncClient, client: NatsClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    body = json.dumps({"funnel": PUBLIC_KEY, "event_id": "e1"}).encode()
    first = await http.post(LEAD, content=body, headers=BEACON)
    second = await http.post(LEAD, content=body, headers=BEACON)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.headers["access-control-allow-origin"] == LANDING
    assert [answer.json()["events"][0]["duplicate"] for answer in (first, second)] == [False, True]
    [message] = await stored(client)
    event = decode_event(message.data)
    assert (message.subject, message.headers["Nats-Msg-Id"]) == ("t.loja.in.lead", "curso:lead:e1")
    assert (event.id, event.ip) == (first.json()["events"][0]["id"], "127.0.0.1")


async def test_gzipped_batch_arrives_whole(
    http: httpx.AsyncClient, client: NatsClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    batch = {"funnel": "curso", "events": [{"type": "pageview"} for _ in range(500)]}
    headers = {"authorization": f"Bearer {SERVER_KEY}", "content-encoding": "gzip"}
    answer = await http.post(
        "/api/v1/track/batch", content=gzip.compress(json.dumps(batch).encode()), headers=headers
    )
    assert answer.status_code == 202 and len(answer.json()["events"]) == 500
    assert (await client.jetstream().stream_info("T-loja")).state.messages == 500


async def test_broker_away_is_503_and_its_return_heals(
    http: ProbedClient, nats_server: NatsProcess, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    nats_server.stop()
    away = await http.post(LEAD, json={"funnel": PUBLIC_KEY}, headers={"origin": LANDING})
    assert (away.status_code, (await http.readyz()).status_code) == (503, 503)
    assert int(away.headers["retry-after"]) >= 1
    nats_server.start()
    deadline = time.monotonic() + 60
    while (
        again := await http.post(LEAD, json={"funnel": PUBLIC_KEY}, headers={"origin": LANDING})
    ).status_code != 202:
        assert time.monotonic() < deadline, again.text
        await asyncio.sleep(0.1)


async def test_missing_lane_is_503_and_asks_for_it(
    http: httpx.AsyncClient, client: NatsClient
) -> None:
    asked = await client.subscribe("sinal.provision")
    await client.flush()
    answer = await http.post(LEAD, json={"funnel": PUBLIC_KEY}, headers={"origin": LANDING})
    assert answer.status_code == 503
    assert (await asked.next_msg(timeout=60)).data == b"loja"


async def test_full_lane_is_429(http: httpx.AsyncClient, make_tenant: MakeTenant) -> None:
    await make_tenant("loja", max_msgs=1)
    answers = [
        await http.post(LEAD, json={"funnel": PUBLIC_KEY}, headers={"origin": LANDING})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert int(answers[1].headers["retry-after"]) >= 1


async def test_signed_sale_arrives_and_a_forged_one_does_not(
    http: httpx.AsyncClient, client: NatsClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    url = f"/t/loja/api/v1/webhooks/hotmart/{TOKEN}"
    forged = await http.post(url, json=SALE, headers={"x-hotmart-hottok": "no"})
    signed = await http.post(url, json=SALE, headers=HOTTOK)
    again = await http.post(url, json=SALE, headers=HOTTOK)
    assert (forged.status_code, signed.status_code, again.json()["events"][0]["duplicate"]) == (
        401,
        202,
        True,
    )
    [message] = await stored(client)
    event = decode_event(message.data)
    assert (event.order_id, event.value, event.click_id) == ("HP0001112223", "297.00", "click1")
    assert event.user.em == [sha256("maria@loja.example")]
    assert not [word for word in (b"maria", b"Maria", b"99999") if word in message.data]


async def test_delivery_nobody_understands_is_in_the_bucket_and_opens(
    http: httpx.AsyncClient, client: NatsClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    url = f"/api/v1/webhooks/hotmart/{TOKEN}"
    answers = [await http.post(url, content=b"<new format>", headers=HOTTOK) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    bucket = await client.jetstream().key_value("sinal_quarantine")
    entry = await bucket.get(f"loja.{answers[0].json()['id']}")
    assert entry.value is not None
    kept = read_head(entry.value)
    raw = open_kept(kept, KEYRING)
    assert (kept.integration, raw) == ("vendas", b"<new format>")
    assert (await bucket.status()).ttl == 30 * 86_400


async def test_gzip_bomb_is_refused_cheaply(http: httpx.AsyncClient) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    assert len(bomb) < 256 * 1024
    started = time.process_time()
    answer = await http.post(
        "/api/v1/track/batch", content=bomb, headers={**BEACON, "content-encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert time.process_time() - started < 0.5


async def test_slow_body_is_cut_off(bus: Bus) -> None:
    async with serving(bus, body_timeout_s=0.3) as server, sender(server) as slow:
        slow.send(b"POST /api/v1/track/lead HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = await asyncio.wait_for(slow.reader.read(), 60)  # to the end: the connection closes
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_slow_and_endless_heads_are_cut_off(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.3)
    async with serving(bus) as server:
        for start in (
            b"",
            b"POST / HTTP/1.1\r\nX-A: b\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /h",
        ):
            async with sender(server) as slow:
                slow.send(start)
                await asyncio.wait_for(slow.reader.read(), 60)
        monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 600)
        async with sender(server) as endless:
            endless.send(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 200_000)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(endless.reader.readexactly(1), 60)


async def test_kept_connection_outlives_many_heads(http: httpx.AsyncClient) -> None:
    headers = {"x-padding": "a" * 8_000}
    for _ in range(20):
        assert (await http.get("/healthz", headers=headers)).status_code == 200
    assert (await http.head("/healthz")).content == b""


async def test_answers_of_one_connection_keep_their_order_and_shape(
    bus: Bus, client: NatsClient, make_tenant: MakeTenant, heard: Heard
) -> None:
    """Bodies that come with their head, in pieces, several in one packet.

    A HEAD between them; the last one closes.
    """
    await make_tenant("loja")

    def post(number: int, *more: str) -> bytes:
        body = json.dumps({"funnel": PUBLIC_KEY, "event_id": f"e{number}"})
        head = [
            f"POST {LEAD} HTTP/1.1",
            "Host: x",
            f"Origin: {LANDING}",
            f"Content-Length: {len(body)}",
            *more,
        ]
        return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

    async with serving(bus) as server, sender(server) as one:
        pieces = [
            post(0),
            post(1)[:-5],
            post(1)[-5:] + post(2) + b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        await one.send_apart(heard, *pieces, post(3, "Connection: close"))
        answers = await asyncio.wait_for(one.reader.read(), 60)
    heads = [line for line in answers.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert [head[-12:] for head in heads] == [b"202 Accepted"] * 3 + [
        b"TTP/1.1 200 OK"[-12:],
        b"202 Accepted",
    ]
    assert [answers.find(b'"event_id":"e%d"' % number) for number in range(4)] == sorted(
        answers.find(b'"event_id":"e%d"' % number) for number in range(4)
    )
    assert answers.count(b"connection: close") == 1
    assert len(await stored(client)) == 4


async def test_pixel_and_preflight_over_http(
    http: httpx.AsyncClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    pixel = await http.get(f"/api/v1/track/p.gif?funnel={PUBLIC_KEY}", headers={"referer": LANDING})
    head = await http.head(f"/api/v1/track/p.gif?funnel={PUBLIC_KEY}", headers={"referer": LANDING})
    preflight = await http.options(
        LEAD, headers={"origin": LANDING, "access-control-request-method": "POST"}
    )
    refused = await http.post(
        LEAD, json={"funnel": PUBLIC_KEY}, headers={"origin": "https://evil.example"}
    )
    assert (pixel.status_code, pixel.headers["content-type"], head.content) == (
        200,
        "image/gif",
        b"",
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (
        204,
        LANDING,
    )
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (
        403,
        "https://evil.example",
    )


async def test_stop_finishes_what_is_under_way(
    bus: Bus, client: NatsClient, make_tenant: MakeTenant, heard: Heard
) -> None:
    await make_tenant("loja")
    async with serving(bus, grace_s=60) as server, sender(server) as one:
        body = json.dumps({"funnel": PUBLIC_KEY}).encode()
        head = (
            f"POST {LEAD} HTTP/1.1\r\nHost: x\r\nOrigin: {LANDING}\r\nContent-Length: "
            f"{len(body)}\r\n\r\n"
        )
        await one.send_apart(heard, head.encode() + body[:5])
        stopping = asyncio.create_task(server.stop())
        async with asyncio.timeout(60):
            while await _connects(server):
                await asyncio.sleep(0.02)
        one.send(body[5:])
        assert (await asyncio.wait_for(one.reader.read(), 60)).startswith(b"HTTP/1.1 202 ")
        await stopping
    assert len(await stored(client)) == 1


async def _connects(server: IngestServer) -> bool:
    try:
        async with sender(server):
            return True
    except ConnectionError:  # refused, or reset where it was just closing
        return False
