"""Messages that wait in this process because what they are for can't be done yet: un-acked, and
ready to be called.

A delayed nak would be a promise to nobody: the broker brings the message back when its time has
come, and nothing can call it sooner. What is parked is called when its time has come or when its
lane is woken, whichever is first. Its place among the lane's in-flight messages stays taken, the
broker is told that work goes on, and a process that dies leaves it to another after `ack_wait`.
Invariants: a lane whose messages all wait for one thing asks for no more, so that its backlog stays
at the broker, in its sequence; messages that wait each for itself take half of their lane's places
at most, so that others go past them.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable

from sinal_core.nats.message import Message
from sinal_core.nats.work import Work

MOST_PARKED = 20_000  # over all lanes
SHARE = 0.5  # of a lane's places, for messages that wait each for itself


class Lot:
    """What is parked of one lane."""

    __slots__ = ("blocked_until", "timer", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[float, int, Message]] = []  # a heap: due, stream sequence
        self.blocked_until = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def due(self, now: float) -> list[Message]:
        """Take out what has waited for long enough."""
        found = []
        while self.waiting and self.waiting[0][0] <= now:
            found.append(heapq.heappop(self.waiting)[2])
        return found


class Parking:
    """The parked messages of a worker; `called` takes back those of a lane."""

    def __init__(
        self, called: Callable[[Work, list[Message]], None], *, most: int = MOST_PARKED
    ) -> None:
        self._called, self._most = called, most
        self._lots: dict[Work, Lot] = {}
        self._parked = 0

    def park(
        self, work: Work, message: Message, delay_s: float, *, places: int, whole: bool
    ) -> bool:
        """Keep a message for so long; False where there is no room.

        With `whole` its lane waits with it.
        """
        lot = self._lots.get(work) or Lot()
        if self._parked >= self._most or (not whole and len(lot.waiting) >= SHARE * places):
            return False
        self._lots[work] = lot
        due = time.monotonic() + delay_s
        if whole:
            lot.blocked_until = max(lot.blocked_until, due)
        # the sequence parts those of one time: messages themselves cannot be compared
        heapq.heappush(lot.waiting, (due, message.seq, message))
        self._parked += 1
        if lot.waiting[0][2] is message:
            self._arm(work, lot)
        return True

    def blocks(self, work: Work) -> bool:
        """Whether all of the lane waits."""
        lot = self._lots.get(work)
        return lot is not None and lot.blocked_until > time.monotonic()

    def wake(self, work: Work) -> None:
        """Call everything of a lane now."""
        messages = self.leave(work)
        if messages:
            self._called(work, messages)

    def leave(self, work: Work) -> list[Message]:
        """Take everything of a lane out, oldest first."""
        lot = self._lots.pop(work, None)
        if lot is None:
            return []
        if lot.timer is not None:
            lot.timer.cancel()
        return self._out([message for _, _, message in lot.waiting])

    def _arm(self, work: Work, lot: Lot) -> None:
        if lot.timer is not None:
            lot.timer.cancel()
        wait_s = max(0.0, lot.waiting[0][0] - time.monotonic())
        lot.timer = asyncio.get_running_loop().call_later(wait_s, self._ring, work, lot)

    def _ring(self, work: Work, lot: Lot) -> None:
        lot.timer = None
        messages = self._out(lot.due(time.monotonic()))
        if lot.waiting:
            self._arm(work, lot)
        elif self._lots.get(work) is lot:
            del self._lots[work]
        if messages:
            self._called(work, messages)

    def _out(self, messages: list[Message]) -> list[Message]:
        self._parked -= len(messages)
        for message in messages:
            message.parked = False
        # as the stream has them, whatever their times were: a lane works in its sequence
        return sorted(messages, key=lambda message: message.seq)
