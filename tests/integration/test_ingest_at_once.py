"""Requests that come whole are taken without a task: nothing that a sender sees depends on how its
packets were cut.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
import socket
from collections.abc import Callable

import pytest
from nats.aio.client import Client as NatsClient

from sinal_core.nats import Bus
from sinal_hub.ingest.server import IngestServer

from tests.integration.test_ingest_http import LEAD, serving, stored
from tests.support.eventually import PATIENCE_S, eventually
from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY
from tests.support.fix_raw_http import Heard, Sender, sender
from tests.support.nats_process import NatsProcess

GRACE_S = int(PATIENCE_S)
BATCH = "/api/v1/track/batch"
GOOD = {
    "funnel": PUBLIC_KEY,
    "event_id": "e1",
    "url": f"{LANDING}/p?utm_source=fb&fbclid=IwAR0_x-Y",
    "novel": 1,
}


def post(content: object, *more: str, path: str = LEAD, origin: str = LANDING) -> bytes:
    """One raw request."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Origin: {origin}",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


CORPUS = {
    "good": post(GOOD),
    "click": post(GOOD, path="/api/v1/track/click"),
    "server": post(
        GOOD | {"funnel": "curso", "client": {"ip": "8.8.8.8"}},
        f"Authorization: Bearer {SERVER_KEY}",
    ),
    "batch of one": post({"events": [GOOD | {"type": "pageview"}]}, path=BATCH),
    "batch of two": post(
        {"events": [GOOD | {"type": t} for t in ("click", "pageview")]}, path=BATCH
    ),
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


async def answers(server: IngestServer, heard: Heard, *pieces: bytes) -> bytes:
    """What comes back for packets and a last request behind them that closes the connection."""
    async with sender(server) as one:
        await one.send_apart(
            heard, *pieces, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        return await asyncio.wait_for(one.reader.read(), PATIENCE_S)


async def answer_to(server: IngestServer, heard: Heard, *pieces: bytes) -> bytes:
    """The answer to one request in such packets."""
    async with sender(server) as one, asyncio.timeout(PATIENCE_S):
        await one.send_apart(heard, *pieces)
        return await next_answer(one)


async def next_answer(one: Sender) -> bytes:
    """The next answer on a connection, without what announces it."""
    head = await one.reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100 "):
        head = await one.reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return head + await one.reader.readexactly(int(length[1]) if length else 0)


def known(answer: bytes) -> bytes:
    """Without what differs between a first event and its repeat."""
    same = re.sub(rb"content-length: \d+", b"content-length: n", answer)
    return same.replace(b'"duplicate":true', b'"duplicate":false')


@pytest.mark.parametrize("name", CORPUS)
async def test_a_request_is_answered_the_same_whole_and_in_pieces(
    bus: Bus, make_tenant: MakeTenant, heard: Heard, name: str
) -> None:
    await make_tenant("loja")
    request = CORPUS[name]
    body = request.index(b"\r\n\r\n") + 4
    async with serving(bus) as server:
        whole = known(await answer_to(server, heard, request))
        pieces = known(await answer_to(server, heard, request[:body], request[body:]))
    if name in ("good", "click", "last"):
        assert whole.startswith(b"HTTP/1.1 202 ")
    assert whole == pieces


@pytest.mark.parametrize("seed", range(5))
async def test_many_requests_cut_anywhere_are_answered_in_order(
    bus: Bus, client: NatsClient, make_tenant: MakeTenant, heard: Heard, seed: int
) -> None:
    await make_tenant("loja")
    rng = random.Random(seed)
    kinds: list[Callable[[int], bytes]] = [
        lambda n: post({"funnel": PUBLIC_KEY, "event_id": f"e{n}"}),
        lambda n: post(
            {"events": [{"type": "lead", "funnel": PUBLIC_KEY, "event_id": f"e{n}"}]}, path=BATCH
        ),
        lambda n: post({"funnel": "fk_nobody", "event_id": f"e{n}"}),
        lambda n: b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    chosen = [rng.randrange(len(kinds)) for _ in range(40)]
    stream = b"".join(kinds[kind](number) for number, kind in enumerate(chosen))
    cuts = sorted(rng.randrange(len(stream)) for _ in range(15))
    async with serving(bus) as server:
        got = await answers(
            server,
            heard,
            *(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b),
        )
    statuses = [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [(b"202", b"202", b"404", b"200")[kind] for kind in chosen] + [b"200"]
    ids = [part.split(b'"event_id":"')[1].split(b'"')[0] for part in got.split(b"HTTP/1.1 202")[1:]]
    assert ids == [b"e%d" % number for number, kind in enumerate(chosen) if kind < 2]
    assert len(await stored(client)) == len(ids)


def refuses(server: IngestServer) -> bool:
    """Whether nobody listens there any more."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
    except ConnectionError:  # refused, or reset where it was just closing
        return True
    return False


async def test_a_stop_waits_for_the_ack_of_what_was_taken(
    bus: Bus, client: NatsClient, nats_server: NatsProcess, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    async with (
        serving(bus, ack_timeout_s=PATIENCE_S, grace_s=GRACE_S) as server,
        sender(server) as one,
    ):
        with nats_server.held():
            one.send(CORPUS["good"])
            await eventually(lambda: bus.awaited == 1)
            stopping = asyncio.create_task(server.stop())
            await eventually(lambda: refuses(server))
        answer = await asyncio.wait_for(one.reader.read(), PATIENCE_S)
        await stopping
    assert answer.startswith(b"HTTP/1.1 202 ") and b"connection: close" in answer
    assert len(await stored(client)) == 1


async def test_a_sender_that_left_before_the_ack_costs_no_other_its_answer(
    bus: Bus, client: NatsClient, nats_server: NatsProcess, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    async with (
        serving(bus, ack_timeout_s=PATIENCE_S, grace_s=GRACE_S) as server,
        sender(server) as stayed,
        sender(server) as gone,
    ):
        with nats_server.held():
            gone.send(post({"funnel": PUBLIC_KEY, "event_id": "gone"}))
            stayed.send(post({"funnel": PUBLIC_KEY, "event_id": "stayed"}))
            await eventually(lambda: bus.awaited == 2)
            gone.writer.transport.abort()
            await eventually(lambda: server.connections == 1)
        assert (await asyncio.wait_for(stayed.reader.readline(), PATIENCE_S)).startswith(
            b"HTTP/1.1 202 "
        )
        await eventually(lambda: bus.awaited == 0)
    await eventually(lambda: bus.connected)
    assert len(await stored(client)) == 2


async def test_what_no_stream_takes_is_told_to_its_sender(
    bus: Bus, make_tenant: MakeTenant, heard: Heard
) -> None:
    async with serving(bus) as server:
        missing = await answers(server, heard, CORPUS["good"])
        await make_tenant("loja", max_msgs=1)
        taken = await answers(server, heard, CORPUS["good"])
        full = await answers(server, heard, post({"funnel": PUBLIC_KEY, "event_id": "e2"}))
    assert [one[:12] for one in (missing, taken, full)] == [
        b"HTTP/1.1 503",
        b"HTTP/1.1 202",
        b"HTTP/1.1 429",
    ]
    assert all(
        b"retry-after" in one and b"access-control-allow-origin" in one for one in (missing, full)
    )
