"""Attacks that held: requests that two parsers read in two ways, and bodies that cost more than
they weigh.

Over a socket, because what an ASGI application is given has been through a parser already.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator

import pytest

from sinal_core.http.server import HttpServer

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SECRET, SERVER_KEY, TOKEN, EdgeWorld

LEAD = "/api/v1/track/lead"
HOOK = f"/api/v1/webhooks/signed/{TOKEN}"
EVENT = json.dumps({"funnel": PUBLIC_KEY, "event_id": "e1"}).encode()
SMUGGLED = b"POST /api/v1/track/lead HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
WHOLE = b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)


@pytest.fixture
async def port(edge_world: EdgeWorld) -> AsyncIterator[int]:
    """Where the edge listens."""
    server = HttpServer(edge_world.edge(), host="127.0.0.1", port=0)
    await server.start()
    yield int(server.url.rpartition(":")[2])
    await server.stop()


async def answers(port: int, *lines: str, body: bytes, path: str = LEAD) -> list[int]:
    """The statuses of all answers to what was sent, until the server closes."""
    head = [
        f"POST {path} HTTP/1.1",
        "Host: ingest.example",
        f"Origin: {LANDING}",
        f"x-signature: {SECRET}",
        *lines,
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + body)
        said = await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
    return [int(part.split(b" ", 1)[0]) for part in said.split(b"HTTP/1.1 ")[1:]]


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([length(EVENT), "Transfer-Encoding: chunked"], WHOLE),
        (["Transfer-Encoding: chunked", length(EVENT)], WHOLE),
        (["Content-Length: 0", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
        ([length(EVENT), "Content-Length: 0"], EVENT),
        ([length(EVENT), f"Content-Length: {len(EVENT) + 1}"], EVENT),
        ([f"Content-Length: {len(EVENT)}, 0"], EVENT),
        ([f"Content-Length: +{len(EVENT)}"], EVENT),
        (["Content-Length: -1"], EVENT),
        (["Content-Length: 0x30"], EVENT),
        (["Content-Length: 1e2"], EVENT),
        ([f"Content-Length: {'9' * 40}"], EVENT),
        (["Content-Length:"], EVENT),
        (["Transfer-Encoding: xchunked"], WHOLE),
        (["Transfer-Encoding: chunked, identity"], WHOLE),
        (["Transfer-Encoding: identity, xchunked"], WHOLE),
        (["Transfer-Encoding : chunked"], WHOLE),
        (["Transfer-Encoding:\x0bchunked"], WHOLE),
        (["X: y", " Transfer-Encoding: chunked"], WHOLE),
        (["Transfer-Encoding:", " chunked"], WHOLE),
        (["Transfer-Encoding: chunked"], b"-1\r\n" + WHOLE),
        (["Transfer-Encoding: chunked"], b"0x30\r\n" + EVENT + b"\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"f" * 17 + b"\r\n" + EVENT),
        (["Transfer-Encoding: chunked"], b"%x\n%b\n0\n\n" % (len(EVENT), EVENT)),
        (["Transfer-Encoding: chunked"], b"%x\r\n%bxx0\r\n\r\n" % (len(EVENT), EVENT)),
        (["X: a\x00b", length(EVENT)], EVENT),
        (["X\x00: b", length(EVENT)], EVENT),
        (["no colon", length(EVENT)], EVENT),
        ([": no name", length(EVENT)], EVENT),
    ],
)
async def test_no_request_is_read_in_two_ways(
    port: int, edge_world: EdgeWorld, lines: list[str], body: bytes
) -> None:
    """Refused or dropped.

    Never two answers, never a fault, and what is taken is the event itself.
    """
    said = await answers(port, *lines, body=body)
    assert len(said) <= 1 and all(400 <= status < 500 for status in said), said
    assert edge_world.bus.messages == []


DEEP = 40_000
HOSTILE: list[bytes] = [
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"funnel":"fk_curso","x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"funnel":"fk_curso","value":NaN}',
    b'{"funnel":"fk_curso","value":Infinity}',
    b'{"funnel":"fk_curso","value":-Infinity}',
    b'{"funnel":"fk_curso","url":"\\ud800"}',
    b'{"funnel":"fk_curso","url":"\\udc00\\ud800"}',
    b'{"funnel":"fk_curso","event_id":"a\\u0000b"}',
    b'{"funnel":"fk_curso","url":"\xed\xa0\x80"}',
    b'{"funnel":"fk_curso","url":"\xc0\xaf"}',
    b'{"funnel":"fk_curso"}\x00',
    b'{"funnel":"fk_curso"}{"funnel":"fk_curso"}',
    b'{"funnel":"fk_curso",}',
    b"{'funnel':'fk_curso'}",
    b'{"funnel":"fk_curso"/**/}',
    '{"funnel":"fk_curso"}'.encode("utf-16"),
    '{"funnel":"fk_curso"}'.encode("utf-16-le"),
    '{"funnel":"fk_curso"}'.encode("utf-32"),
    b"\xef\xbb\xbf" + b'{"funnel":"fk_curso"}',
    b'{"funnel":"fk_curso","value":1e999999999}',
    b'{"funnel":"fk_curso","value":-1e-999999999}',
    b'{"funnel":"fk_curso","items":[{"id":"a","quantity":' + b"9" * 5_000 + b"}]}",
    b'{"funnel":"fk_curso","value":' + b"9" * 5_000 + b"}",
    b'{"funnel":"fk_curso","event_id":' + b"9" * 5_000 + b"}",
    b'{"funnel":"fk_curso","order_id":' + b"9" * 5_000 + b"}",
    b'{"funnel":"fk_curso","occurred_at":' + b"9" * 5_000 + b"}",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_json_is_refused_and_costs_nothing(
    port: int, edge_world: EdgeWorld, body: bytes
) -> None:
    started = time.process_time()
    assert await answers(port, length(body), body=body) == [400]
    packed = gzip.compress(body)
    assert await answers(port, length(packed), "Content-Encoding: gzip", body=packed) == [400]
    assert time.process_time() - started < 2
    assert edge_world.bus.messages == []


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_gateway_s_hostile_json_is_no_fault(
    port: int, edge_world: EdgeWorld, body: bytes
) -> None:
    """Its secret is right: what nobody understands is kept, and nothing of it is an event."""
    assert await answers(port, length(body), body=body, path=HOOK) == [202]
    assert (edge_world.bus.messages, len(edge_world.quarantine.kept)) == ([], 1)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(gzip.compress(EVENT)), 400),
        ("gzip", gzip.compress(EVENT) * 1_000, 400),
        ("gzip", gzip.compress(b"") * 5_000 + gzip.compress(EVENT), 400),
        ("gzip", EVENT, 400),
        ("gzip", b"", 400),
        ("gzip", gzip.compress(EVENT)[:-1], 400),
        ("gzip", gzip.compress(EVENT)[:-8] + b"\0" * 8, 400),
        ("gzip", gzip.compress(bytes(20_000_000)), 413),
        ("gzip, gzip", gzip.compress(gzip.compress(EVENT)), 415),
        ("gzip, identity", gzip.compress(EVENT), 415),
        ("br", EVENT, 415),
        ("deflate", EVENT, 415),
        ("identity", gzip.compress(EVENT), 400),
        ("", gzip.compress(EVENT), 400),
    ],
    ids=range(14),  # what gzip makes has the time in it, and workers have to agree on names
)
async def test_encodings_are_undone_once_and_within_bounds(
    port: int, edge_world: EdgeWorld, encoding: str, body: bytes, status: int
) -> None:
    assert await answers(port, length(body), f"Content-Encoding: {encoding}", body=body) == [status]
    assert edge_world.bus.messages == []


async def test_the_same_requests_without_their_malice_are_taken(
    port: int, edge_world: EdgeWorld
) -> None:
    """So that what is above is not refused because everything is."""
    packed = gzip.compress(EVENT)
    assert await answers(port, length(EVENT), body=EVENT) == [202]
    assert await answers(port, "Transfer-Encoding: chunked", body=WHOLE) == [202]
    assert await answers(port, length(packed), "Content-Encoding: gzip", body=packed) == [202]
    batch = json.dumps({"funnel": PUBLIC_KEY, "events": [{"type": "lead"}] * 501}).encode()
    key = f"Authorization: Bearer {SERVER_KEY}"
    assert await answers(port, length(batch), key, body=batch, path="/api/v1/track/batch") == [400]
    assert len(edge_world.bus.messages) == 1, "the same event three times"
