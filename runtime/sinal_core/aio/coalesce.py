"""Small batches that come at the same time, gathered into common calls.

While all slots are taken, what comes waits; a slot that gets free takes everything that waits, up
to a bound. Calls may be told to start some time apart, so that slots that are quick don't take
batches one by one. So with little to do each batch goes alone and at once, and with much to do a
call (a transaction, a statement) is shared by as many as there are: its cost falls as load rises.
Fairness between tenants is decided before, by the lanes. Invariant: at most one batch of a key is
under way, and batches of one key go in the sequence they came in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A batch."""

    @property
    def key(self) -> Hashable:
        """Two batches of one key are never under way at once."""
        ...

    def __len__(self) -> int:
        """How much it is of what `most` bounds."""
        ...


B = TypeVar("B", bound=Sized)
R = TypeVar("R")


class Coalescer(Generic[B, R]):
    """Runs batches through `work`, at most `slots` calls at once, each with up to `most` in all.

    A call starts `apart_s` seconds after the one before it, or when `most` wait; `work` returns a
    result for each of its batches.
    """

    def __init__(
        self,
        work: Callable[[Sequence[B]], Awaitable[Sequence[R]]],
        *,
        slots: int,
        most: int,
        apart_s: float = 0.0,
    ) -> None:
        self._work = work
        self._slots = slots
        self._most = most
        self._apart_s = apart_s
        self._started_at = float("-inf")  # of the loop's clock
        self._later: asyncio.TimerHandle | None = None
        self._size = 0  # of what waits
        self._waiting: deque[tuple[B, asyncio.Future[R]]] = deque()
        self._keys: set[Hashable] = set()  # with a batch in a slot
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, batch: B) -> R:
        """The batch's result; raises what `work` raised."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        self._size += len(batch)
        self._start()
        return await done

    def _start(self) -> None:
        while (
            self._waiting
            and len(self._running) < self._slots
            and self._may_start()
            and (share := self._take())
        ):
            self._started_at = asyncio.get_running_loop().time()
            task = asyncio.create_task(self._run(share))
            self._running.add(task)

    def _may_start(self) -> bool:
        """Whether the last start was long enough ago; if not, the next look is set."""
        # a full call gains nothing by waiting: what comes later does not fit into it
        if self._apart_s <= 0 or self._size >= self._most:
            return True
        loop = asyncio.get_running_loop()
        due = self._started_at + self._apart_s
        if loop.time() >= due:
            return True
        # one timer for all that wait; each batch of a busy moment would set one of its own
        if self._later is None:
            self._later = loop.call_at(due, self._look_again)
        return False

    def _look_again(self) -> None:
        self._later = None
        self._start()

    def _take(self) -> list[tuple[B, asyncio.Future[R]]]:
        """What waits, oldest first, as far as it fits and its keys are free."""
        share: list[tuple[B, asyncio.Future[R]]] = []
        left: list[tuple[B, asyncio.Future[R]]] = []
        size = 0
        while self._waiting and size < self._most:
            batch, done = self._waiting.popleft()
            if done.cancelled():
                self._size -= len(batch)
                continue
            # a batch that is larger than `most` goes alone: it would wait for ever otherwise
            if batch.key in self._keys or (share and size + len(batch) > self._most):
                left.append((batch, done))
                continue
            self._keys.add(batch.key)
            share.append((batch, done))
            size += len(batch)
            self._size -= len(batch)
        # back to the front and in their sequence: of one key, who came first goes first
        self._waiting.extendleft(reversed(left))
        return share

    async def _run(self, share: list[tuple[B, asyncio.Future[R]]]) -> None:
        error: BaseException | None = None
        results: Sequence[R] = ()
        try:
            results = await self._work([batch for batch, _ in share])
        except BaseException as caught:  # a cancellation too: others wait for this call
            error = caught
        # before the results are given out: who wakes up may bring the next batch at once
        self._running.discard(asyncio.current_task())
        for place, (batch, done) in enumerate(share):
            self._keys.discard(batch.key)
            if done.done():  # who waited for it was cancelled meanwhile
                continue
            if error is None:
                done.set_result(results[place])
            elif isinstance(error, asyncio.CancelledError):
                done.cancel()
            else:
                done.set_exception(error)
        self._start()
