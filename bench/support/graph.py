"""A Graph API that takes a fixed time and counts: the cheapest server that a dispatcher can be
measured against.

    python bench/support/graph.py --delay-ms 50

It reads every event of every request and answers as Meta does, so that nothing is saved on the
sender's side; it checks nothing (the sandbox does). `GET /` answers `{"events", "ids",
"requests"}`: received, distinct, requests. Prints its URL when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop


class _Event(msgspec.Struct):
    event_id: str


class _Request(msgspec.Struct):
    data: list[_Event]


_decode = msgspec.json.Decoder(_Request).decode


class Counter:
    """What all connections received."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.events = 0
        self.requests = 0
        self.ids: set[str] = set()

    def count(self, body: bytes) -> bytes:
        """The answer to one request."""
        ids = [event.event_id for event in _decode(body).data]
        self.requests += 1
        self.events += len(ids)
        self.ids.update(ids)
        return b'{"events_received":%d,"messages":[],"fbtrace_id":"AbCdEfGhIjKlMnOpQrStUv"}' % len(
            ids
        )

    def stats(self) -> bytes:
        """What was received so far."""
        return msgspec.json.encode(
            {"events": self.events, "ids": len(self.ids), "requests": self.requests}
        )


class Connection(asyncio.Protocol):
    """One client; requests come one after the other."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._transport: Any = None
        self._parts: list[bytes] = []
        self._missing = -1  # bytes of the body; -1 while the head is read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect until the request is whole."""
        if self._missing < 0:
            head, mark, data = (b"".join(self._parts) + data).partition(b"\r\n\r\n")
            if not mark:
                self._parts = [head]
                return
            self._parts = []
            if head.startswith(b"GET"):
                self._answer(self._counter.stats())
                return
            self._missing = int(
                head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            )
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing == 0:
            body, self._parts, self._missing = b"".join(self._parts), [], -1
            asyncio.get_running_loop().call_later(
                self._counter.delay_s, self._answer, self._counter.count(body)
            )

    def _answer(self, body: bytes) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)
        )
        self._transport.write(head + body)


def spawn(*, delay_ms: float) -> tuple[subprocess.Popen[str], str]:
    """The server as a process, and its URL."""
    command = [sys.executable, str(Path(__file__)), "--delay-ms", str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    if not url:
        raise RuntimeError("the stub of the Graph API did not start")
    return process, url


async def _serve(delay_s: float) -> None:
    counter = Counter(delay_s)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(counter), "127.0.0.1", 0
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=50)
    uvloop.run(_serve(parser.parse_args().delay_ms / 1000))
