"""Open-loop HTTP load: requests are due at fixed times, whether or not earlier ones were answered.

Latency counts from when a request was due, not from when a connection was free for it, so that a
stall shows in the percentiles of everything that had to wait behind it (no coordinated omission).
All requests are made before the first is due: what making them costs would be taken from the
machine that is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

# number of the request, seconds since the start at which it is due -> raw HTTP
Make = Callable[[int, float], bytes]
_ACCEPTED = (b"HTTP/1.1 200", b"HTTP/1.1 202")


class Connection(asyncio.Protocol):
    """One kept connection that has one request under way at most."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: Any = None
        self._buffer = b""
        self._due = 0.0
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a first request."""
        self._transport = transport
        self._load.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """What was under way was never answered."""
        if self._busy:
            self._load.lost()

    def start(self, raw: bytes, due: float) -> None:
        """Send one request."""
        self._due, self._busy = due, True
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        """Take the answer apart as far as its end must be known."""
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._buffer, self._busy = b"", False
            self._load.answered(self, ok=head.startswith(_ACCEPTED), due=self._due)

    def close(self) -> None:
        """Hang up."""
        self._busy = False
        self._transport.close()


class Load:
    """Requests at a fixed rate over some connections; `make` writes each, once."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._requests: list[bytes] = []
        self.free: deque[Connection] = deque()
        self._waiting: deque[tuple[int, float]] = deque()
        self._started = 0.0
        self.latencies: list[float] = []  # seconds from due to answered, in the order of answers
        self.failed = 0
        self.started_at = 0.0  # Unix seconds at which the first was due

    def answered(self, connection: Connection, *, ok: bool, due: float) -> None:
        """Note one answer and give the connection to who waits longest."""
        self.latencies.append(time.perf_counter() - due)
        self.failed += not ok
        if self._waiting:
            number, waited = self._waiting.popleft()
            connection.start(self._requests[number], waited)
        else:
            self.free.append(connection)

    def lost(self) -> None:
        """A connection ended with a request under way."""
        self.latencies.append(float("inf"))
        self.failed += 1

    async def run(
        self, host: str, port: int | Sequence[int], *, connections: int, rate: float, seconds: float
    ) -> float:
        """Send `rate` requests a second.

        Returns the seconds until all were answered, or three times `seconds`.

        Connections go to the ports in turn, as behind a load balancer.
        """
        loop = asyncio.get_running_loop()
        ports = [port] if isinstance(port, int) else port
        made = [
            (
                await loop.create_connection(
                    lambda: Connection(self), host, ports[number % len(ports)]
                )
            )[1]
            for number in range(connections)
        ]
        total, sent = int(rate * seconds), 0
        self._requests = [self._make(number, number / rate) for number in range(total)]
        self._started, self.started_at = time.perf_counter(), time.time()
        while sent < total:
            # the first is due at once
            due_by_now = min(total, 1 + int((time.perf_counter() - self._started) * rate))
            for number in range(sent, due_by_now):
                self._send(number, self._started + number / rate)
            sent = due_by_now
            await asyncio.sleep(0.001)
        while len(self.latencies) < total and time.perf_counter() - self._started < seconds * 3:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        took = time.perf_counter() - self._started
        self.failed += total - len(self.latencies)
        # never answered: the worst there is
        self.latencies += [float("inf")] * (total - len(self.latencies))
        for connection in made:
            connection.close()
        return took

    def _send(self, number: int, due: float) -> None:
        if self.free:
            self.free.popleft().start(self._requests[number], due)
        else:
            self._waiting.append((number, due))
