"""What a request was made of is freed by reference counts alone: a ring that waits for the
collector stalls the rest.

Rings cost an edge that took 3,000 events a second a pause of 30 ms now and then, while the
collector went over them.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from sinal_core.http.protocol import Guarded
from sinal_core.limiter import LocalLimiter
from sinal_core.nats.client import Published
from sinal_core.nats.errors import BusError
from sinal_core.plans.testing import StaticPlans
from sinal_hub.ingest import app
from sinal_hub.ingest.settings import EdgeSettings

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, EdgeWorld, a_tenant

BATCH = "/api/v1/track/batch"
EVENT = {
    "funnel": PUBLIC_KEY,
    "url": f"{LANDING}/p?utm_source=fb&fbclid=IwAR0",
    "fbp": "fb.1.1700000000000.1",
}


class Acks:
    """A broker that has everything at once."""

    def begin(
        self,
        subject: str,
        body: bytes,
        *,
        msg_id: str,
        timeout_s: float,
        done: Callable[[Published | BusError], None],
    ) -> bool:
        del subject, body, msg_id, timeout_s
        done(Published(1, False))
        return True


class Wire(asyncio.Transport):
    """A connection that keeps what was written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("203.0.113.9", 5), "sockname": ("127.0.0.1", 80)})
        self.answers: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answers.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    def pause_reading(self) -> None:
        """Nothing more comes anyway."""

    def resume_reading(self) -> None:
        """The same."""


def connection(world: EdgeWorld) -> tuple[Guarded, Wire]:
    edge = app.build(
        bus=world.bus,
        plans=StaticPlans(a_tenant()),
        limiter=LocalLimiter(clock=world.clock),
        quarantine=world.quarantine,
        settings=EdgeSettings(),
        clock=world.clock,
        beginner=Acks(),
    )
    quiet: dict[str, Any] = {
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
    }
    config = uvicorn.Config(edge, http=Guarded, ws="none", **quiet)
    config.load()
    made, wire = Guarded(config=config, server_state=ServerState(), app_state={}), Wire()
    made.connection_made(wire)
    return made, wire


async def answer(made: Guarded, wire: Wire, pieces: list[bytes]) -> bytes:
    wire.answers.clear()
    for piece in pieces:
        made.data_received(piece)
    while not wire.answers:
        await asyncio.sleep(0)
    return wire.answers[0]


@pytest.mark.parametrize(
    ("path", "content", "cut", "status"),
    [
        ("/api/v1/track/lead", EVENT, False, b"202"),
        ("/api/v1/track/lead", EVENT, True, b"202"),
        (BATCH, {"events": [EVENT | {"type": "lead"}] * 3}, False, b"202"),
        ("/api/v1/track/lead", {"funnel": "fk_nobody"}, False, b"404"),
    ],
)
async def test_a_request_leaves_nothing_for_the_collector(
    edge_world: EdgeWorld, path: str, content: object, cut: bool, status: bytes
) -> None:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: {LANDING}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    pieces = [head, body] if cut else [head + body]
    made, wire = connection(edge_world)
    for _ in range(3):  # caches fill
        assert (await answer(made, wire, pieces))[9:12] == status
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await answer(made, wire, pieces)
        assert gc.collect() < 20, "less than an object a request"
    finally:
        gc.enable()
        made.connection_lost(None)
