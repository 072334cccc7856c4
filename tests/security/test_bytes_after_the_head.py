"""Attack: what a sender puts behind the body.

Trailers are no headers, and what carries no body is bounded.

Before: `Origin`, `Authorization` and `X-Forwarded-For` were believed as trailers, and 20 MiB of
them took 583 MiB of memory and seven seconds of the loop, from anybody.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from sinal_core.http import protocol
from sinal_core.http.server import HttpServer
from sinal_metrics_adapter.certificates import Maker
from sinal_metrics_adapter.listener import TlsListener

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY, EdgeWorld

PAGEVIEW = "/t/loja/api/v1/track/pageview"
EVENT = json.dumps({"funnel": PUBLIC_KEY, "url": f"{LANDING}/p"}).encode()


def chunked(*headers: str, path: str = PAGEVIEW, body: bytes = EVENT) -> bytes:
    """A request up to its last chunk; trailers may follow."""
    head = [f"POST {path} HTTP/1.1", "Host: ingest.example", *headers, "Transfer-Encoding: chunked"]
    return "\r\n".join(head).encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(body), body)


@asynccontextmanager
async def connected(
    world: EdgeWorld,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    server = HttpServer(world.edge(), host="127.0.0.1", port=0)
    await server.start()
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.stop()


async def answered(world: EdgeWorld, request: bytes) -> int:
    """The status of the answer to that request."""
    async with connected(world) as (reader, writer):
        writer.write(request)
        return int((await reader.readline()).split()[1])


async def swallowed(writer: asyncio.StreamWriter, piece: bytes, *, most: int) -> int:
    """How many bytes of endless pieces a server takes before it closes the connection."""
    sent = 0
    try:
        while sent < most:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    except ConnectionError:
        return sent
    return sent


@pytest.mark.parametrize(
    ("trailer", "as_header"),
    [
        (f"Origin: {LANDING}", 202),
        (f"Authorization: Bearer {SERVER_KEY}", 202),
        (f"Referer: {LANDING}/p", 202),
    ],
)
async def test_a_trailer_proves_nothing(
    edge_world: EdgeWorld, trailer: str, as_header: int
) -> None:
    assert await answered(edge_world, chunked(trailer) + b"\r\n") == as_header
    assert await answered(edge_world, chunked() + trailer.encode() + b"\r\n\r\n") == 403


async def test_a_trailer_is_not_the_senders_address(edge_world: EdgeWorld) -> None:
    edge_world.settings = {"trusted_proxies": 1}
    request = chunked(f"Origin: {LANDING}", "X-Forwarded-For: 203.0.113.9")
    assert await answered(edge_world, request + b"X-Forwarded-For: 1.2.3.4\r\n\r\n") == 202
    [event] = edge_world.bus.events
    assert event.ip == "203.0.113.9"


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (chunked(f"Origin: {LANDING}"), b"a:\r\n" * 16_384),
        (chunked(path="/api/v1/webhooks/hotmart/x"), b"a:\r\n" * 16_384),
        (chunked(f"Origin: {LANDING}") + b"a: ", b"a" * 65_536),
        (chunked(f"Origin: {LANDING}")[:-3] + b"1;", b"a" * 65_536),
    ],
    ids=["trailers", "trailers-of-a-webhook", "one-trailer", "chunk-extension"],
)
async def test_what_carries_no_body_is_bounded(
    edge_world: EdgeWorld, start: bytes, endless: bytes
) -> None:
    async with connected(edge_world) as (_, writer):
        writer.write(start)
        await writer.drain()
        sent = await swallowed(writer, endless, most=16 << 20)
    # A socket's buffers take a few MiB that nobody reads.
    assert sent < 16 << 20


async def test_a_body_in_chunks_of_one_byte_is_taken(edge_world: EdgeWorld) -> None:
    head, _, _ = chunked(f"Origin: {LANDING}").partition(b"\r\n\r\n")
    body = EVENT.ljust(4 * protocol.MAX_FRAMING_BYTES)
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    async with connected(edge_world) as (reader, writer):
        writer.write(head + b"\r\n\r\n")
        for start in range(0, len(pieces), 1_000):
            writer.write(pieces[start : start + 1_000])
            await writer.drain()
        writer.write(b"0\r\nX-Checksum: 1\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"202"


async def test_broken_and_upgrading_requests_write_no_logs(
    edge_world: EdgeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    upgrade = (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert await answered(edge_world, upgrade) == 200
    assert await answered(edge_world, b"GET /healthz HTTP/1.1\r\n\x00: x\r\n\r\n") == 400
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_the_metrics_adapter_bounds_trailers_too() -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        seen.append(request.headers.get("X-Remote-User"))
        return web.Response()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    ring = Maker(["adapter.test"], life=timedelta(days=1), settle=timedelta(0)).first(
        datetime.now(UTC)
    )
    listener = TlsListener(application, host="127.0.0.1", port=0)
    listener.present(ring.current, ring.authorities[0])
    await listener.start()
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=trust)
        writer.write(chunked() + b"X-Remote-User: system:admin\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        assert seen == [None]
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=trust)
        writer.write(chunked())
        assert await swallowed(writer, b"a:\r\n" * 16_384, most=16 << 20) < 16 << 20
        writer.close()
    finally:
        await listener.stop()


@pytest.mark.parametrize(("more", "status"), [(100, 202), (protocol.MAX_HEADERS, 431)])
async def test_headers_of_one_head_are_counted(
    edge_world: EdgeWorld, more: int, status: int
) -> None:
    """Before: 16,000 headers of three bytes each held the loop for 11 ms."""
    many = [f"x-{number}: 1" for number in range(more)]
    assert await answered(edge_world, chunked(f"Origin: {LANDING}", *many) + b"\r\n") == status
