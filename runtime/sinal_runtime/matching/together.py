"""Small batches of many tenants, gathered into common transactions.

While all slots are taken, what comes waits; a slot that gets free takes everything that waits, up to a bound. So with
little to do each batch goes alone and at once, and with much to do a transaction is shared by as many as there are: the
cost of a transaction falls as load rises. Fairness between tenants is decided before, by the lanes.
Invariant: a transaction has at most one batch of a tenant, and batches of one tenant go in the sequence they came in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A batch of one tenant."""

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    def __len__(self) -> int:
        """How many messages it has."""
        ...


B = TypeVar("B", bound=Sized)


class Together(Generic[B]):
    """Runs batches through `work`, at most `slots` calls at once, each with up to `most` messages."""

    def __init__(self, work: Callable[[Sequence[B]], Awaitable[None]], *, slots: int, most: int) -> None:
        self._work = work
        self._slots = slots
        self._most = most
        self._waiting: deque[tuple[B, asyncio.Future[None]]] = deque()
        self._tenants: set[str] = set()  # with a batch in a slot
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, batch: B) -> None:
        """Return when the batch has been worked on; raises what `work` raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        self._start()
        await done

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._slots and (share := self._take()):
            task = asyncio.create_task(self._run(share))
            self._running.add(task)

    def _take(self) -> list[tuple[B, asyncio.Future[None]]]:
        """What waits, oldest first, as far as it fits and its tenants are free."""
        share: list[tuple[B, asyncio.Future[None]]] = []
        left: list[tuple[B, asyncio.Future[None]]] = []
        size = 0
        while self._waiting and size < self._most:
            batch, done = self._waiting.popleft()
            if done.cancelled():
                continue
            if batch.tenant in self._tenants or (share and size + len(batch) > self._most):
                left.append((batch, done))
                continue
            self._tenants.add(batch.tenant)
            share.append((batch, done))
            size += len(batch)
        self._waiting.extendleft(reversed(left))
        return share

    async def _run(self, share: list[tuple[B, asyncio.Future[None]]]) -> None:
        error: BaseException | None = None
        try:
            await self._work([batch for batch, _ in share])
        except BaseException as caught:
            error = caught
        self._running.discard(asyncio.current_task())
        for batch, done in share:
            self._tenants.discard(batch.tenant)
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            elif isinstance(error, asyncio.CancelledError):
                done.cancel()
            else:
                done.set_exception(error)
        self._start()
