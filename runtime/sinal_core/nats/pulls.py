"""The pull protocol: keeps one lane's worth of requests at the broker for each lane, over one
subscription.

`credit` is how many messages the broker still owes a lane. A lane asks for a small window at first,
for more when the broker says that more wait or while messages keep coming, and for little again
when they end, so that a thousand idle lanes reserve little memory. Where nothing has come since the
last request, the next one stands for longer, and the broker shows less often that it still has it:
a thousand idle lanes say little, too. Invariant: a lane with room has credit, or a time at which it
tries again; nothing but `remove` ends that. Source of the statuses: ADR-13, ADR-37.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from sinal_core.aio.backoff import Backoff, Jitter
from sinal_core.nats import wire
from sinal_core.nats.client import Bus
from sinal_core.nats.lane import Lane
from sinal_core.telemetry.places import where

log = structlog.get_logger(__name__)


class Terms(NamedTuple):
    """How long a request stands, and how often the broker shows that it has it: at least twice in
    that time.
    """

    expires_s: float
    heartbeat_s: float

    @property
    def silence_s(self) -> float:
        """After so long without a word the broker has lost the request.

        It says so itself when a consumer is deleted or led by another server; not when a route to
        it was down.
        """
        return self.heartbeat_s + LATE_S

    def request(self, size: int) -> bytes:
        """The body of a request for so many messages."""
        expires, heartbeat = self.expires_s * 1e9, self.heartbeat_s * 1e9
        return b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (size, expires, heartbeat)


BUSY = Terms(expires_s=60, heartbeat_s=15)
CALM = Terms(expires_s=300, heartbeat_s=60)
LATE_S = 20.0  # how far a heartbeat may be behind its time
SWEEP_S = 0.25
RETRY = Backoff(base_s=0.1, cap_s=2.0, jitter=Jitter(0.75, 1.25))
FIRST_WINDOW = 16
_EXPIRED = frozenset({"404", "408"})
_PENDING = "Nats-Pending-Messages"


class Flow:
    """Pull state of one lane."""

    __slots__ = (
        "credit",
        "deadline",
        "failures",
        "generation",
        "lane",
        "largest",
        "number",
        "pulled_at",
        "retry_at",
        "silence_s",
        "streak",
        "touched",
        "window",
    )

    def __init__(self, lane: Lane, number: int, *, largest: int) -> None:
        self.lane = lane
        self.number = number
        self.largest = largest
        self.window = min(FIRST_WINDOW, largest)
        self.generation = 0
        self.credit = 0
        self.streak = 0  # messages since the window grew
        self.failures = 0
        self.retry_at = 0.0
        self.pulled_at = 0.0
        self.deadline = 0.0
        self.silence_s = 0.0
        self.touched = False  # something came since the last request

    def heard(self, now: float) -> None:
        """The broker has a request of this lane."""
        self.deadline = now + self.silence_s

    def told(self, pending: int) -> None:
        """The broker has so many more: a backlog is asked for at once, not window by window."""
        self.window = max(self.window, min(pending, self.largest))

    def size(self, room: int, buffered: int) -> int:
        """How many to ask for now, so that a lane neither runs dry nor asks for single messages."""
        if self.credit > self.window // 2:
            return 0
        if self.streak >= self.window:
            self.window, self.streak = min(2 * self.window, self.largest), 0
        wanted = min(room, self.window - buffered) - self.credit
        return wanted if wanted >= max(1, self.window // 4) or (wanted > 0 and not buffered) else 0

    def reset(self) -> None:
        """What was asked for is void; late answers to it are recognised by their generation."""
        self.credit = 0
        self.generation += 1
        self.window, self.streak = min(FIRST_WINDOW, self.largest), 0


class Puller:
    """Pulls for all lanes of a worker."""

    def __init__(
        self,
        bus: Bus,
        *,
        room: Callable[[Flow], tuple[int, int]],  # -> free places, messages buffered
        deliver: Callable[[Flow | None, Msg, wire.Delivery], None],
        lost_broker: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._room = room
        self._deliver = deliver
        self._lost_broker = lost_broker
        self._inbox = bus.link.client.new_inbox()
        self._flows: dict[int, Flow] = {}
        self._by_id: dict[tuple[str, str], Flow] = {}
        self._numbers = 0
        self._dirty: dict[Flow, None] = {}
        self._wake = asyncio.Event()
        self._troubled: set[Flow] = set()
        self._subscription: Subscription | None = None
        self._identity = ""
        self._missing_logged = False

    def add(self, lane: Lane, *, largest: int) -> Flow:
        """Start pulling for a lane, at most `largest` ahead."""
        self._numbers += 1
        flow = Flow(lane, self._numbers, largest=largest)
        self._flows[flow.number] = self._by_id[lane.id] = flow
        self.want(flow)
        return flow

    def remove(self, flow: Flow) -> None:
        """Stop pulling for a lane."""
        self._flows.pop(flow.number, None)
        if self._by_id.get(flow.lane.id) is flow:
            del self._by_id[flow.lane.id]
        self._dirty.pop(flow, None)
        self._troubled.discard(flow)

    def want(self, flow: Flow) -> None:
        """The lane may have room: look at it soon."""
        if flow.credit <= flow.window // 2 and flow.number in self._flows:
            self._dirty[flow] = None
            self._wake.set()

    async def run(self) -> None:
        """Pull until cancelled."""
        online = asyncio.Event()

        def up() -> None:
            online.set()
            self._reconnected()

        forget = self._bus.link.listen(up=up, down=lambda: None)
        try:
            await online.wait()
            # without limits: what nats-py dropped would stay un-acked until ack_wait is over
            self._subscription = await self._bus.link.client.subscribe(
                f"{self._inbox}.*.*", cb=self._received, pending_msgs_limit=0, pending_bytes_limit=0
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump())
                group.create_task(self._sweep())
        finally:
            forget()

    async def stop(self, *, timeout_s: float) -> None:
        """Take no more: what the broker has sent up to now is still delivered before this
        returns.
        """
        if self._subscription is None or self._bus.link.client.is_closed:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._subscription.drain()  # type: ignore[no-untyped-call]
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.warning("bus.stop_pulling_failed", error=type(error).__name__)

    def _reconnected(self) -> None:
        identity = self._bus.link.identity
        if self._identity and identity != self._identity:
            self._lost_broker()
        self._identity = identity
        for flow in self._flows.values():
            # The broker forgets requests with the connection that they came over: what they were to
            # bring never comes.
            flow.reset()
            flow.failures = 0
            flow.retry_at = 0.0
            self.want(flow)

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                flow, _ = self._dirty.popitem()
                await self._pull(flow)

    async def _pull(self, flow: Flow) -> None:
        now = time.monotonic()
        if flow.retry_at > now or flow.number not in self._flows:
            return
        room, buffered = self._room(flow)
        size = flow.size(room, buffered)
        if size <= 0:
            return
        terms = BUSY if flow.touched else CALM
        # before the send, which gives way: the first messages may be here before it returns
        flow.credit += size
        flow.pulled_at, flow.silence_s, flow.touched = now, terms.silence_s, False
        flow.heard(now)
        lane = flow.lane
        sent = await self._bus.send(
            f"$JS.API.CONSUMER.MSG.NEXT.{lane.stream}.{lane.consumer}",
            terms.request(size),
            reply=f"{self._inbox}.{flow.number}.{flow.generation}",
        )
        if not sent:
            self._failed(flow)

    async def _received(self, message: Msg) -> None:
        try:
            if message.reply:
                self._data(message)
            else:
                self._status(message)
        except Exception as error:
            log.error("bus.receive_failed", error=type(error).__name__, at=where(error))

    def _data(self, message: Msg) -> None:
        delivery = wire.parse_reply(message.reply)
        if delivery is None:
            return
        # A message that is delivered bears its own subject and not the inbox's: only its ack
        # subject tells the lane. A status has none, and bears the inbox's.
        flow = self._by_id.get((delivery.stream, delivery.consumer))
        if flow is not None:
            flow.credit = max(0, flow.credit - 1)
            flow.streak += 1
            flow.touched = True
            flow.told(delivery.pending)
            flow.heard(time.monotonic())
            self.want(flow)
        self._deliver(flow, message, delivery)

    def _status(self, message: Msg) -> None:
        _, number, generation = message.subject.rsplit(".", 2)
        flow = self._flows.get(int(number))
        if flow is None or flow.generation != int(generation):
            return
        headers = message.headers or {}
        status = headers.get(wire.STATUS, "")
        flow.heard(time.monotonic())
        if status == wire.HEARTBEAT:
            return
        if status in _EXPIRED:
            # ADR-13: so many of this request were not served; another request of the lane may still
            # stand
            flow.credit = max(0, flow.credit - int(headers.get(_PENDING, flow.credit)))
            flow.window, flow.streak = min(FIRST_WINDOW, flow.largest), 0
            self.want(flow)
            return
        # The consumer is gone: its state is in memory, which a restart of the broker takes. Only
        # the provisioner makes it again.
        if status == wire.NO_RESPONDERS:
            self._bus.request_provision(flow.lane.tenant)
        self._failed(flow)

    def _failed(self, flow: Flow) -> None:
        """The broker does not serve this lane now: try again, at first soon."""
        flow.reset()
        flow.failures += 1
        flow.retry_at = time.monotonic() + RETRY.delay_s(flow.failures)
        self._troubled.add(flow)

    async def _sweep(self) -> None:
        full_at = 0.0
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for flow in tuple(self._troubled):
                self._try_again(flow, now)
            if now >= full_at:
                full_at = now + 1.0
                for flow in self._flows.values():
                    self._check(flow, now)
                self._log_missing()

    def _try_again(self, flow: Flow, now: float) -> None:
        if flow.credit and now > flow.pulled_at + 1.0:  # a refusal would have come by now
            flow.failures = 0
            self._troubled.discard(flow)
        elif now >= flow.retry_at:
            self.want(flow)

    def _check(self, flow: Flow, now: float) -> None:
        if flow.credit and now > flow.deadline:
            self._failed(flow)
        elif not flow.credit:
            self.want(flow)

    def _log_missing(self) -> None:
        missing = [flow.lane for flow in self._troubled if flow.failures > 1]
        if bool(missing) != self._missing_logged:
            self._missing_logged = bool(missing)
            if missing:
                log.warning("bus.lanes_missing", count=len(missing), first=missing[0].stream)
            else:
                log.info("bus.lanes_back")
