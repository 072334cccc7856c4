"""Lanes: pull from many consumers, hand fair, small batches to one handler, settle what it leaves.

Invariants: a message is settled once or comes again; no error of a handler or of one lane stops
another; a lane has at most `lane_concurrency` batches at once, so a slow tenant or a dead
destination holds one slot, not all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable

import structlog
from nats.aio.msg import Msg

from sinal_core.nats import wire
from sinal_core.nats.adaptive_linger import AdaptiveLinger, nak_delay_s
from sinal_core.nats.client import Bus
from sinal_core.nats.fair_queue import FairQueue
from sinal_core.nats.lane import Lane
from sinal_core.nats.message import Message
from sinal_core.nats.parking import Parking
from sinal_core.nats.pulls import FIRST_WINDOW, Flow, Puller
from sinal_core.nats.work import Work
from sinal_core.telemetry.places import where

log = structlog.get_logger(__name__)

Handler = Callable[[Lane, list[Message]], Awaitable[None]]
RESTART_S = 0.5
# what finds no room is at the broker, where nobody can call it: for a short time
LONGEST_AWAY_S = 60.0
# of one lane, whatever its batches: below the consumers' max_ack_pending of 10,000
MOST_HELD = 8_000
MOST_BUFFERED = 20_000  # over all lanes; beyond it a lane gets no more than a first window ahead


class Lanes:
    """A worker's lanes; `set` may be called at any time, `run` once."""

    def __init__(
        self,
        bus: Bus,
        handler: Handler,
        *,
        batch: int,
        concurrency: int,
        in_flight: int,
        linger_s: float = 0.0,
        lane_concurrency: int = 1,
        only_full: bool = False,
        ack_wait_s: float = 60.0,
    ) -> None:
        """With `only_full` a lane's batches beyond its first must be full: what is less waits to be
        one with more.
        """
        self._bus = bus
        self._handler = handler
        self._batch = batch
        self._concurrency = concurrency
        self._in_flight = in_flight
        self._linger_s = linger_s
        self._lane_concurrency = lane_concurrency
        self._only_full = only_full
        self._ack_wait_s = ack_wait_s  # of the consumers; 60 s is what the provisioner sets
        self._work: dict[tuple[str, str], Work] = {}
        self._leaving: set[Work] = set()  # removed lanes whose handlers still run
        self._flows: dict[Flow, Work] = {}
        self._queue: FairQueue[Work] = FairQueue()
        self._batches: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._pace = AdaptiveLinger()
        self._parking = Parking(self._called)
        self._buffered = 0
        self._starting = False
        self._draining = False
        self._drained = asyncio.Event()
        self._puller = Puller(bus, room=self._room, deliver=self._deliver, lost_broker=self._forget)

    def set(self, lanes: Iterable[Lane]) -> None:
        """Work on exactly these lanes from now on.

        What waits of a removed lane goes back to the broker.
        """
        if self._draining:
            return
        wanted = {lane.id: lane for lane in lanes}
        for work in [w for key, w in self._work.items() if key not in wanted]:
            self._remove(work)
        for key, lane in wanted.items():
            known = self._work.get(key)
            if known is None:
                self._add(lane)
            elif known.flow is not None:
                known.lane = known.flow.lane = lane
                known.flow.largest = self._largest(lane)

    def wake(self, lane_id: tuple[str, str]) -> None:
        """Call what is parked of a lane, oldest first, and ask for more of it: what it waited for
        is over.
        """
        work = self._work.get(lane_id)
        if work is not None:
            work.woken_at = time.monotonic()
            self._parking.wake(work)

    async def run(self) -> None:
        """Work until drained or cancelled."""
        tasks = [
            asyncio.create_task(self._supervise(self._puller.run)),
            asyncio.create_task(self._supervise(self._keep_alive)),
        ]
        try:
            await self._drained.wait()
        finally:
            self._draining = True
            tasks.extend(self._batches)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._chores, return_exceptions=True)

    async def drain(self, timeout_s: float) -> None:
        """Stop fetching, let handlers finish, give the rest back.

        Returns when the broker has every answer.
        """
        deadline = time.monotonic() + timeout_s
        self._draining = True
        # First: what the broker has sent already is refused as it comes, and need not wait for
        # ack_wait to reach another worker.
        await self._puller.stop(timeout_s=timeout_s)
        for work in self._work.values():
            self._give_back(work)
        if self._batches:
            _, late = await asyncio.wait(
                self._batches, timeout=max(0.0, deadline - time.monotonic())
            )
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.gather(*self._chores, return_exceptions=True)
        # answers are fire-and-forget: those in the client's buffer would be lost with the process
        await self._bus.flush(timeout_s=max(1.0, deadline - time.monotonic()))
        self._drained.set()

    def _add(self, lane: Lane) -> None:
        work = Work(lane, bus=self._bus, freed=self._freed, park=self._park)
        self._work[lane.id] = work
        work.flow = self._puller.add(lane, largest=self._largest(lane))
        self._flows[work.flow] = work

    def _largest(self, lane: Lane) -> int:
        """How far ahead a lane may fetch: the batch that runs and the one after it."""
        return min(self._most_held(lane), max(FIRST_WINDOW, 2 * (lane.batch or self._batch)))

    def _most_held(self, lane: Lane) -> int:
        """Most un-acked messages of a lane: never fewer than its batches at once take, and one to
        follow.
        """
        batch, at_once = lane.batch or self._batch, lane.concurrency or self._lane_concurrency
        return max(self._in_flight, min((at_once + 1) * batch, MOST_HELD))

    def _remove(self, work: Work) -> None:
        del self._work[work.lane.id]
        if work.flow is not None:
            self._puller.remove(work.flow)
            self._flows.pop(work.flow, None)
        self._queue.forget(work)
        self._give_back(work)
        if work.running:
            self._leaving.add(work)

    def _give_back(self, work: Work) -> None:
        if work.linger is not None:
            work.linger.cancel()
            work.linger = None
        waiting = work.take(len(work.buffer))
        self._buffered -= len(waiting)
        waiting = [*self._parking.leave(work), *waiting]
        if waiting:
            self._chore(self._nak_all(waiting))

    @staticmethod
    async def _nak_all(messages: list[Message]) -> None:
        for message in messages:
            await message.nak()

    def _room(self, flow: Flow) -> tuple[int, int]:
        work = self._flows.get(flow)
        if work is None or self._draining or self._parking.blocks(work):
            return 0, 0
        room, buffered = self._most_held(work.lane) - len(work.held), len(work.buffer)
        if self._buffered > MOST_BUFFERED:
            room = min(room, FIRST_WINDOW - buffered)
        return room, buffered

    def _park(self, work: Work, message: Message, delay_s: float, whole_lane: bool) -> float | None:
        if self._draining or self._work.get(work.lane.id) is not work:
            return 0.0  # another worker parks it
        places = self._most_held(work.lane)
        parked = self._parking.park(work, message, delay_s, places=places, whole=whole_lane)
        return None if parked else min(delay_s, LONGEST_AWAY_S)

    def _called(self, work: Work, messages: list[Message]) -> None:
        """Parked messages have their turn again.

        They have gathered for long enough to be a batch.
        """
        if self._work.get(work.lane.id) is not work:
            return
        work.put_back(messages)
        self._buffered += len(messages)
        if work.running < (work.lane.concurrency or self._lane_concurrency):
            self._queue.offer(work)
            self._start_soon()
        self._freed(work)

    def _freed(self, work: Work) -> None:
        if work.flow is not None:
            self._puller.want(work.flow)

    def _deliver(self, flow: Flow | None, raw: Msg, delivery: wire.Delivery) -> None:
        work = self._flows.get(flow) if flow is not None else None
        if work is None or self._draining:
            # dropping it would keep it from other workers until ack_wait is over
            self._chore(self._refuse(raw.reply))
        elif work.receive(raw, delivery):
            self._buffered += 1
            self._offer(work)
            self._start_soon()

    async def _refuse(self, reply: str) -> None:
        await self._bus.send(reply, wire.nak(0.0))

    def _forget(self) -> None:
        for work in (*self._work.values(), *self._leaving):
            self._parking.leave(work)
            self._buffered -= work.forget()

    def _offer(self, work: Work) -> None:
        """Queue the lane for its turn if it may have one now."""
        lane = work.lane
        if not work.buffer or work.running >= (lane.concurrency or self._lane_concurrency):
            return
        linger_s = self._linger_s if lane.linger_s is None else lane.linger_s
        full = len(work.buffer) >= (lane.batch or self._batch)
        if self._only_full and work.running and not full:
            return
        if linger_s <= 0 or full:
            self._queue.offer(work)
        elif work.linger is None:
            now = time.monotonic()
            # counted from when the oldest came: a batch that has waited for its slot does not
            # linger anew
            left_s = self._pace.linger_s(linger_s, now) - (now - work.buffer[0].touched)
            work.linger = asyncio.get_running_loop().call_later(
                max(0.0, left_s), self._lingered, work
            )

    def _lingered(self, work: Work) -> None:
        work.linger = None
        if work.buffer and work.lane.id in self._work:
            self._queue.offer(work)
            self._start()

    def _start_soon(self) -> None:
        """Start once what has just been read is sorted in, so that the first batch is not a single
        message.
        """
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Start batches while there are free slots and lanes with a turn."""
        self._starting = False
        while len(self._batches) < self._concurrency and not self._draining:
            work = self._queue.take()
            if work is None:
                return
            if work.running >= (work.lane.concurrency or self._lane_concurrency):
                continue
            messages = work.take(work.lane.batch or self._batch)
            if not messages:
                continue
            self._buffered -= len(messages)
            self._queue.charge(work, len(messages))
            work.running += 1
            self._pace.started(time.monotonic())
            task = asyncio.create_task(self._handle(work, messages))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)
            self._freed(work)
            self._offer(work)

    async def _handle(self, work: Work, messages: list[Message]) -> None:
        try:
            await self._handler(work.lane, messages)
        except Exception as error:
            log.error(
                "bus.handler_failed",
                tenant=work.lane.tenant,
                lane=work.lane.key,
                error=type(error).__name__,
                at=where(error),
            )
        finally:
            for message in messages:
                if not message.settled and not message.parked:
                    # a process that leaves says nothing against the message: another may have it at
                    # once
                    await message.nak(0.0 if self._draining else nak_delay_s(message.deliveries))
            self._finished(work)

    def _finished(self, work: Work) -> None:
        work.running -= 1
        task = asyncio.current_task()
        if task is not None:
            # before `_start`: this task ends only after it, and would count as a slot that is taken
            self._batches.discard(task)
        if not work.running:
            self._leaving.discard(work)
        if self._work.get(work.lane.id) is work:
            self._offer(work)
        self._start()

    async def _keep_alive(self) -> None:
        """Tell the broker of messages that are held for long that work goes on."""
        while True:
            # Twice within the age that is told of: one sign may be lost or late, and the next still
            # comes within ack_wait.
            await asyncio.sleep(self._ack_wait_s / 6)
            for work in (*self._work.values(), *self._leaving):
                if work.held:
                    await work.touch_old(age_s=self._ack_wait_s / 3)

    async def _supervise(self, loop: Callable[[], Coroutine[None, None, None]]) -> None:
        while True:
            try:
                await loop()
            except Exception as error:
                log.error("bus.loop_failed", error=type(error).__name__, at=where(error))
            await asyncio.sleep(RESTART_S)

    def _chore(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
