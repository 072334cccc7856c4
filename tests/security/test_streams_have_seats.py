"""Attack: one viewer's key opens five hundred event streams; before, nobody counted them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import msgspec

from sinal_api.stream import Seats, Stream
from sinal_hub.services.callers import Caller

Message = MutableMapping[str, Any]


class Looker:
    """One who asks for a stream and, if there is one, reads it until `leave`."""

    def __init__(self, seats: Seats, actor: str, tenant: str | None = "loja") -> None:
        self.messages: list[Message] = []
        self._gone, self._begun = asyncio.Event(), asyncio.Event()
        stream = Stream(self._lines(), seats, Caller(actor=actor, role="viewer", tenant=tenant))
        scope = {"type": "http", "asgi": {"spec_version": "2.0"}}
        self._task = asyncio.ensure_future(stream(scope, self._receive, self._send))

    @property
    def status(self) -> int:
        found: int = self.messages[0]["status"]
        return found

    async def begun(self) -> Looker:
        await asyncio.wait_for(self._begun.wait(), 60)
        return self

    async def leave(self) -> None:
        self._gone.set()
        await asyncio.wait_for(self._task, 60)

    async def _lines(self) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        await asyncio.Event().wait()

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body":
            self._begun.set()


async def opened(seats: Seats, *callers: tuple[str, str | None]) -> list[Looker]:
    return [await Looker(seats, actor, tenant).begun() for actor, tenant in callers]


async def test_a_key_has_so_many_and_one_that_leaves_makes_room() -> None:
    seats = Seats(per_key=2)
    first, second, third = await opened(seats, *[("key_a", "loja")] * 3)
    assert [one.status for one in (first, second, third)] == [200, 200, 429]
    refused = msgspec.json.decode(third.messages[1]["body"])
    assert refused["detail"].startswith("this key has 2 streams")
    assert (b"retry-after", b"10") in third.messages[0]["headers"]
    await first.leave()
    (fourth, other) = await opened(seats, ("key_a", "loja"), ("key_b", "loja"))
    assert (fourth.status, other.status) == (200, 200)
    for one in (second, third, fourth, other):
        await one.leave()
    assert seats.taken == 0


async def test_keys_of_one_tenant_do_not_take_the_seats_of_others() -> None:
    seats = Seats(per_tenant=2, per_process=4)
    lookers = await opened(
        seats, *((f"key_{at}", "rival") for at in range(4)), ("key_x", "loja"), ("admin_key", None)
    )
    assert [one.status for one in lookers] == [200, 200, 429, 429, 200, 200]
    (late,) = await opened(seats, ("key_y", "outra"))
    assert late.status == 429 and b"this process has 4" in late.messages[1]["body"]
    for one in (*lookers, late):
        await one.leave()
    assert seats.taken == 0
