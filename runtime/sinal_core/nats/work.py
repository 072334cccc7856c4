"""What one lane has in a worker: messages waiting, messages in a handler, and the way of their
answers.

Invariant: `held` has every message of the lane that the broker waits for. Its size is the lane's
share of in-flight messages, and a redelivery of a message that is still held refreshes it instead
of being worked on twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from nats.aio.msg import Msg

from sinal_core.nats import wire
from sinal_core.nats.client import Bus
from sinal_core.nats.lane import Lane
from sinal_core.nats.message import Message
from sinal_core.nats.pulls import Flow
from sinal_core.telemetry.tracing import HEADER

# -> None: parked; else how long the broker keeps it
Park = Callable[["Work", "Message", float, bool], float | None]


class Work:
    """One lane's messages in this process; the settler of each."""

    __slots__ = (
        "_bus",
        "_freed",
        "_park",
        "buffer",
        "flow",
        "held",
        "lane",
        "linger",
        "running",
        "woken_at",
    )

    def __init__(self, lane: Lane, *, bus: Bus, freed: Callable[[Work], None], park: Park) -> None:
        self._bus = bus
        self._freed = freed
        self._park = park
        self.lane = lane
        self.flow: Flow | None = None
        self.buffer: deque[Message] = deque()
        self.held: dict[int, Message] = {}  # by stream sequence
        self.running = 0
        self.linger: asyncio.TimerHandle | None = None
        self.woken_at = 0.0  # monotonic seconds

    def receive(self, raw: Msg, delivery: wire.Delivery) -> bool:
        """Take one delivery in; False when the message is here already."""
        now = time.monotonic()
        held = self.held.get(delivery.seq)
        if held is not None:
            held.reply, held.deliveries, held.touched = raw.reply, delivery.deliveries, now
            return False
        message = Message(
            settler=self,
            subject=raw.subject,
            body=raw.data,
            reply=raw.reply,
            deliveries=delivery.deliveries,
            seq=delivery.seq,
            stored_at_ns=delivery.stored_at_ns,
            touched=now,
            traceparent=raw.headers.get(HEADER) if raw.headers else None,
        )
        self.held[delivery.seq] = message
        self.buffer.append(message)
        return True

    def put_back(self, messages: list[Message]) -> None:
        """Take in what was parked; the oldest comes first again."""
        self.buffer = deque(sorted((*messages, *self.buffer), key=lambda message: message.seq))

    def take(self, most: int) -> list[Message]:
        """The oldest messages that wait, at most so many."""
        now = time.monotonic()
        taken = [self.buffer.popleft() for _ in range(min(most, len(self.buffer)))]
        for message in taken:
            message.taken_at = now
        return taken

    def forget(self) -> int:
        """The broker behind these deliveries is gone: drop what waits and void the rest.

        Returns how many waited.
        """
        waiting = len(self.buffer)
        for message in self.held.values():
            message.stale = True
        self.held.clear()
        self.buffer.clear()
        return waiting

    async def settle(self, message: Message, body: bytes) -> None:
        """Send the final answer of a message and free its place."""
        if self.held.get(message.seq) is message:
            del self.held[message.seq]
            self._freed(self)
        if not message.stale:
            await self._bus.send(message.reply, body)

    async def hold(self, message: Message, delay_s: float, *, whole_lane: bool) -> None:
        """Park a message, or give it back where that can't be.

        Who judged it before the lane was last woken judged by what is over: it has its turn again
        at once.
        """
        if message.taken_at <= self.woken_at:
            delay_s, whole_lane = 0.0, False
        away_s = 0.0 if message.stale else self._park(self, message, delay_s, whole_lane)
        if away_s is None:
            message.parked = True
        else:
            await message.nak(away_s)

    async def touch(self, message: Message) -> None:
        """Start the broker's redelivery timer again."""
        message.touched = time.monotonic()
        if not message.stale:
            await self._bus.send(message.reply, wire.IN_PROGRESS)

    async def touch_old(self, *, age_s: float) -> None:
        """Do so for every held message whose last sign of life is older than that."""
        limit = time.monotonic() - age_s
        for message in [m for m in self.held.values() if m.touched < limit]:
            if not message.settled:
                await self.touch(message)
