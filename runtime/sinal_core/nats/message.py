"""A message as a handler sees it: its body, and the one answer it gets.

Invariant: the first of ack, nak, term and hold counts, every later one is nothing. What a handler
leaves unsettled is nak'd by its lane. Acks are fire-and-forget: a lost one means redelivery, so
effects must be idempotent.
"""

from __future__ import annotations

from typing import Protocol

from sinal_core.nats import wire


class Settler(Protocol):
    """Where a message's answers go."""

    async def settle(self, message: Message, body: bytes) -> None:
        """Send the final answer."""
        ...

    async def touch(self, message: Message) -> None:
        """Tell the broker that work goes on."""
        ...

    async def hold(self, message: Message, delay_s: float, *, whole_lane: bool) -> None:
        """Bring it to the handler again."""
        ...


class Message:
    """One delivery of one stored message."""

    __slots__ = (
        "_settler",
        "body",
        "deliveries",
        "parked",
        "reply",
        "seq",
        "settled",
        "stale",
        "stored_at_ns",
        "subject",
        "taken_at",
        "touched",
        "traceparent",
    )

    def __init__(
        self,
        *,
        settler: Settler,
        subject: str,
        body: bytes,
        reply: str,
        deliveries: int,
        seq: int,
        stored_at_ns: int,
        touched: float,
        traceparent: str | None = None,
    ) -> None:
        self._settler = settler
        self.subject = subject
        self.body = body
        self.reply = reply
        # 1 at the first delivery; starts again when the consumer is re-created
        self.deliveries = deliveries
        self.seq = seq
        self.stored_at_ns = stored_at_ns  # Unix ns at which the broker stored it
        self.touched = touched  # monotonic seconds of the last sign of life to the broker
        self.traceparent = traceparent  # of the trace that goes on here, where the sender is traced
        self.taken_at = 0.0  # monotonic seconds at which a handler got it
        self.settled = False
        self.parked = False  # waits in this process until it is called
        self.stale = False  # from a broker that is gone: its sequence may name another message now

    async def ack(self) -> None:
        """The effect is durable: the broker may forget the message."""
        await self._settle(wire.ACK)

    async def nak(self, delay_s: float = 0.0) -> None:
        """Deliver again after `delay_s` seconds."""
        await self._settle(wire.nak(delay_s))

    async def term(self) -> None:
        """Never deliver again; where the message is to be kept, that was done before."""
        await self._settle(wire.TERM)

    async def hold(self, delay_s: float, *, whole_lane: bool = False) -> None:
        """Keep it and give it to the handler again after `delay_s`, or sooner when its lane is
        woken.

        With `whole_lane` nothing of the lane can be done before that, and the lane asks for no
        more. Where no room is left the broker keeps it, for a minute at most at a time.
        """
        if not self.settled and not self.parked:
            await self._settler.hold(self, delay_s, whole_lane=whole_lane)

    async def in_progress(self) -> None:
        """Start the broker's redelivery timer again.

        The lane does so by itself while a handler runs.
        """
        if not self.settled:
            await self._settler.touch(self)

    async def _settle(self, body: bytes) -> None:
        if not self.settled and not self.parked:
            self.settled = True
            await self._settler.settle(self, body)

    def __repr__(self) -> str:
        return (
            f"Message({self.subject!r}, seq={self.seq}, deliveries={self.deliveries}, "
            f"settled={self.settled})"
        )
