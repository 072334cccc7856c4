"""A broker in memory for unit tests, with the ports of `Bus` and `Lanes`: publish with dedup,
deliver, settle.

It keeps what a room relies on: an id is stored once, a message stays until it is acked or
terminated, a nak or an unsettled message comes again with one more delivery. Time does not pass
here: a delayed message is due at the next `deliver`, and its delay is kept for the test to look at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from sinal_core.nats import wire
from sinal_core.nats.client import Outgoing, Published
from sinal_core.nats.depth import Depth
from sinal_core.nats.errors import BusError, BusUnavailable, LaneFull, LaneMissing
from sinal_core.nats.lane import Lane
from sinal_core.nats.message import Message
from sinal_crds import names

Handler = Callable[[Lane, list[Message]], Awaitable[None]]


class Stored:
    """One message of a stream, and what became of its deliveries."""

    def __init__(self, subject: str, body: bytes, msg_id: str, seq: int) -> None:
        self.subject, self.body, self.msg_id, self.seq = subject, body, msg_id, seq
        self.deliveries = 0
        # as they would go over the wire: +ACK, -NAK {"delay": …}, +TERM
        self.answers: list[bytes] = []
        self.touches = 0

    @property
    def gone(self) -> bool:
        """Acked or terminated."""
        return any(answer in (wire.ACK, wire.TERM) for answer in self.answers)

    async def settle(self, message: Message, body: bytes) -> None:
        """Keep the answer."""
        del message
        self.answers.append(body)

    async def touch(self, message: Message) -> None:
        """Count a sign of life."""
        del message
        self.touches += 1

    async def hold(self, message: Message, delay_s: float, *, whole_lane: bool) -> None:
        """As a nak: time does not pass here."""
        del whole_lane
        await message.nak(delay_s)


class MemoryBus:
    """Streams of tenants in memory."""

    def __init__(self, *tenants: str) -> None:
        self.connected = True
        self.full: set[str] = set()  # tenants whose stream takes nothing more
        self.tenants: set[str] = set(tenants)
        self.stored: list[Stored] = []
        self.provision_requests: list[str | None] = []
        self._by_id: dict[tuple[str, str], Stored] = {}

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
    ) -> Published:
        """Store one message of a known tenant; raises BusUnavailable, LaneMissing, LaneFull."""
        del timeout_s
        if not self.connected:
            raise BusUnavailable(f"{subject}: no connection to the broker")
        tenant = _tenant(subject)
        if tenant not in self.tenants:
            raise LaneMissing(f"{subject}: nothing listens there; is the tenant provisioned?")
        known = self._by_id.get((tenant, msg_id))
        if known is not None:
            return Published(known.seq, True)
        if tenant in self.full:
            raise LaneFull(f"{subject}: the stream is full (maximum bytes exceeded)")
        stored = Stored(
            subject, body, msg_id, 1 + sum(_tenant(s.subject) == tenant for s in self.stored)
        )
        self.stored.append(stored)
        self._by_id[tenant, msg_id] = stored
        return Published(stored.seq, False)

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Published | BusError]:
        """Store many; one result each, in order."""
        results: list[Published | BusError] = []
        for message in messages:
            try:
                one = await self.publish(
                    message.subject, message.body, msg_id=message.msg_id, timeout_s=timeout_s
                )
            except BusError as error:
                results.append(error)
            else:
                results.append(one)
        return results

    def request_provision(self, slug: str | None = None) -> None:
        """Note the request."""
        self.provision_requests.append(slug)

    async def depths(self) -> list[Depth]:
        """Messages that are not acked, per lane that has any."""
        counts: dict[tuple[str, str], int] = {}
        for stored in self.waiting():
            tenant, _, rest = stored.subject.removeprefix("t.").partition(".")
            way, _, destination = rest.partition(".")
            consumer = names.MATCH_CONSUMER if way == "in" else names.dispatch_consumer(destination)
            counts[tenant, consumer] = counts.get((tenant, consumer), 0) + 1
        return [Depth(tenant, consumer, count, 0) for (tenant, consumer), count in counts.items()]

    def waiting(self, lane: Lane | None = None) -> list[Stored]:
        """Messages that are neither acked nor terminated, of one lane or of all."""
        return [
            s
            for s in self.stored
            if not s.gone and (lane is None or fnmatchcase(s.subject, _filter(lane)))
        ]


class MemoryLanes:
    """Hands a `MemoryBus`'s messages to a handler when the test says so."""

    def __init__(self, bus: MemoryBus, handler: Handler, *, batch: int = 200) -> None:
        self._bus, self._handler, self._batch = bus, handler, batch
        self.lanes: tuple[Lane, ...] = ()
        # what the handler raised; its messages were nak'd as `Lanes` does
        self.errors: list[Exception] = []

    def set(self, lanes: Iterable[Lane]) -> None:
        """Work on exactly these lanes from now on."""
        self.lanes = tuple(lanes)

    async def deliver(self) -> int:
        """Give every waiting message to the handler once, in batches by lane; returns how many."""
        delivered = 0
        for lane in self.lanes:
            waiting = self._bus.waiting(lane)
            size = lane.batch or self._batch
            for start in range(0, len(waiting), size):
                delivered += await self._batch_of(lane, waiting[start : start + size])
        return delivered

    async def _batch_of(self, lane: Lane, stored: list[Stored]) -> int:
        messages = [_message(one) for one in stored]
        try:
            await self._handler(lane, messages)
        except Exception as error:
            self.errors.append(error)
        for message in messages:
            # nothing where the handler has settled it
            await message.nak(2.0 ** (message.deliveries - 1))
        return len(messages)


def _message(stored: Stored) -> Message:
    stored.deliveries += 1
    return Message(
        settler=stored,
        subject=stored.subject,
        body=stored.body,
        reply="",
        deliveries=stored.deliveries,
        seq=stored.seq,
        stored_at_ns=0,
        touched=0.0,
    )


def _tenant(subject: str) -> str:
    return subject.removeprefix("t.").partition(".")[0]


def _filter(lane: Lane) -> str:
    if lane.consumer == names.MATCH_CONSUMER:
        return names.in_filter(lane.tenant).replace(">", "*")
    return names.out_subject(lane.tenant, lane.consumer.removeprefix(names.DISPATCH_PREFIX))
