"""Requests that come whole are taken without a task: nothing that a sender sees depends on how its packets were cut."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import re
import signal
import socket
from collections.abc import Callable

import pytest
from nats.aio.client import Client as NatsClient

from sinal_runtime.bus import Bus
from sinal_runtime.ingest.role import IngestServer

from tests.integration.test_ingest_http import LEAD, _connect, serving, stored
from tests.support.eventually import eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY
from tests.support.nats_process import NatsProcess

PATIENCE_S = 30
BATCH = "/api/v1/track/batch"
GOOD = {"funnel": PUBLIC_KEY, "event_id": "e1", "url": f"{LANDING}/p?utm_source=fb&fbclid=IwAR0_x-Y", "novel": 1}


def post(content: object, *more: str, path: str = LEAD, origin: str = LANDING) -> bytes:
    """One raw request."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Origin: {origin}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


CORPUS = {
    "good": post(GOOD),
    "click": post(GOOD, path="/api/v1/track/click"),
    "server": post(GOOD | {"funnel": "curso", "client": {"ip": "8.8.8.8"}}, f"Authorization: Bearer {SERVER_KEY}"),
    "batch of one": post({"events": [GOOD | {"type": "pageview"}]}, path=BATCH),
    "batch of two": post({"events": [GOOD | {"type": t} for t in ("click", "pageview")]}, path=BATCH),
    "empty batch": post({"events": []}, path=BATCH),
    "gzip": post(gzip.compress(json.dumps(GOOD).encode()), "Content-Encoding: gzip"),
    "broken gzip": post(b"x", "Content-Encoding: gzip"),
    "wrong fields": post({"funnel": PUBLIC_KEY, "event_id": 1, "value": -1}),
    "dropped ids": post(GOOD | {"fbp": "nonsense", "fbc": "fb.1"}),
    "no funnel": post({}),
    "unknown funnel": post({"funnel": "fk_nobody"}),
    "another's page": post(GOOD, origin="https://evil.example"),
    "no JSON": post(b"{"),
    "no body": post(b""),
    "media type": post(GOOD, "Content-Type: application/xml"),
    "tenant's path": post(GOOD, path=f"/t/loja{LEAD}"),
    "another tenant": post(GOOD, path=f"/t/nobody{LEAD}"),
    "no such path": post(GOOD, path="/api/v1/track/nothing"),
    "with a query": post(GOOD, path=f"{LEAD}?x=1"),
    "expects": post(GOOD, "Expect: 100-continue"),
    "last": post(GOOD, "Connection: close"),
}


async def answers(server: IngestServer, *pieces: bytes) -> bytes:
    """What comes back for packets and a last request behind them that closes the connection."""
    reader, writer = await _connect(server)
    for piece in (*pieces, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    got = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return got


async def answer_to(server: IngestServer, *pieces: bytes) -> bytes:
    """The answer to one request in such packets."""
    reader, writer = await _connect(server)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100 "):
            head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
    writer.close()
    return head + body


def known(answer: bytes) -> bytes:
    """Without what differs between a first event and its repeat."""
    same = re.sub(rb"content-length: \d+", b"content-length: n", answer)
    return same.replace(b'"duplicate":true', b'"duplicate":false')


@pytest.mark.parametrize("name", CORPUS)
async def test_a_request_is_answered_the_same_whole_and_in_pieces(bus: Bus, make_tenant: MakeTenant, name: str) -> None:
    await make_tenant("loja")
    request = CORPUS[name]
    body = request.index(b"\r\n\r\n") + 4
    async with serving(bus) as server:
        whole = known(await answer_to(server, request))
        pieces = known(await answer_to(server, request[:body], request[body:]))
    if name in ("good", "click", "last"):
        assert whole.startswith(b"HTTP/1.1 202 ")
    assert whole == pieces


@pytest.mark.parametrize("seed", range(5))
async def test_many_requests_cut_anywhere_are_answered_in_order(
    bus: Bus, client: NatsClient, make_tenant: MakeTenant, seed: int
) -> None:
    await make_tenant("loja")
    rng = random.Random(seed)
    kinds: list[Callable[[int], bytes]] = [
        lambda n: post({"funnel": PUBLIC_KEY, "event_id": f"e{n}"}),
        lambda n: post({"events": [{"type": "lead", "funnel": PUBLIC_KEY, "event_id": f"e{n}"}]}, path=BATCH),
        lambda n: post({"funnel": "fk_nobody", "event_id": f"e{n}"}),
        lambda n: b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    chosen = [rng.randrange(len(kinds)) for _ in range(40)]
    stream = b"".join(kinds[kind](number) for number, kind in enumerate(chosen))
    cuts = sorted(rng.randrange(len(stream)) for _ in range(15))
    async with serving(bus) as server:
        got = await answers(
            server, *(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b)
        )
    statuses = [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [(b"202", b"202", b"404", b"200")[kind] for kind in chosen] + [b"200"]
    ids = [part.split(b'"event_id":"')[1].split(b'"')[0] for part in got.split(b"HTTP/1.1 202")[1:]]
    assert ids == [b"e%d" % number for number, kind in enumerate(chosen) if kind < 2]
    assert len(await stored(client)) == len(ids)


def under_way(bus: Bus) -> int:
    """Publishes whose ack is awaited."""
    return len(bus._replies._waiting)


def refuses(server: IngestServer) -> bool:
    """Whether nobody listens there any more."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return True
    return False


async def test_a_stop_waits_for_the_ack_of_what_was_taken(
    bus: Bus, client: NatsClient, nats_server: NatsProcess, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    async with serving(bus) as server:
        reader, writer = await _connect(server)
        os.kill(nats_server.pid, signal.SIGSTOP)
        writer.write(CORPUS["good"])
        await eventually(lambda: under_way(bus) == 1)
        stopping = asyncio.create_task(server.stop())
        await eventually(lambda: refuses(server))
        os.kill(nats_server.pid, signal.SIGCONT)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        await stopping
        writer.close()
    assert answer.startswith(b"HTTP/1.1 202 ") and b"connection: close" in answer
    assert len(await stored(client)) == 1


async def test_a_sender_that_left_before_the_ack_costs_no_other_its_answer(
    bus: Bus, client: NatsClient, nats_server: NatsProcess, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    async with serving(bus) as server:
        reader, writer = await _connect(server)
        _, gone = await _connect(server)
        os.kill(nats_server.pid, signal.SIGSTOP)
        gone.write(post({"funnel": PUBLIC_KEY, "event_id": "gone"}))
        writer.write(post({"funnel": PUBLIC_KEY, "event_id": "stayed"}))
        await eventually(lambda: under_way(bus) == 2)
        gone.transport.abort()
        await asyncio.sleep(0.2)
        os.kill(nats_server.pid, signal.SIGCONT)
        assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 202 ")
        writer.close()
    await eventually(lambda: bus.connected)
    assert len(await stored(client)) == 2


async def test_what_no_stream_takes_is_told_to_its_sender(bus: Bus, make_tenant: MakeTenant) -> None:
    async with serving(bus) as server:
        missing = await answers(server, CORPUS["good"])
        await make_tenant("loja", max_msgs=1)
        taken = await answers(server, CORPUS["good"])
        full = await answers(server, post({"funnel": PUBLIC_KEY, "event_id": "e2"}))
    assert [one[:12] for one in (missing, taken, full)] == [b"HTTP/1.1 503", b"HTTP/1.1 202", b"HTTP/1.1 429"]
    assert all(b"retry-after" in one and b"access-control-allow-origin" in one for one in (missing, full))
