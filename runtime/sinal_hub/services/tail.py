"""The live tail: one poller for each tenant that is looked at, whatever the number of people
looking.

Nobody looks: no query runs. A listener that cannot follow is let go, and comes back with the last
id it has seen; what it missed is read from the store, page by page and from some seconds before
that id, because what began before it may be there only now. So nothing is lost, and what is
repeated is the same event in the same state.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from sinal_core.postgres.errors import StoreError
from sinal_hub.services.cursors import cursor_of
from sinal_hub.store.reading import EventDetail
from sinal_hub.store.tailing import EventChange

log = structlog.get_logger(__name__)

POLL_S = 0.7
AGAIN = timedelta(seconds=5)  # how long a transaction may take and still be seen
PAGE = 500
QUEUE = 1_000

Cursor = tuple[datetime, str]
State = tuple[object, ...]


class Reader(Protocol):
    """Events by id."""

    async def get_events(self, tenant: str | None, ids: Sequence[str]) -> list[EventDetail]: ...


class Changes(Protocol):
    """Changes in order; `store.tailing.TailStore` in production."""

    async def now(self) -> datetime: ...

    async def changes(
        self, tenant: str | None, after: Cursor, *, limit: int
    ) -> list[EventChange]: ...


class Item(msgspec.Struct, frozen=True):
    """An event as it is now, and when it changed."""

    at: datetime
    event: EventDetail

    @property
    def cursor(self) -> str:
        """To go on behind it."""
        return cursor_of(self.at, self.event.id)


def state_of(event: EventDetail) -> State:
    """What makes a repeat of an event worth showing."""
    # A delivery that is being sent is not news: each try would show its event again.
    deliveries = tuple(
        (one.destination, one.state) for one in event.deliveries if one.state not in ("sending",)
    )
    return (
        event.outcome.state,
        event.outcome.reason,
        event.match.rule if event.match else None,
        deliveries,
    )


def _before(cursor: Cursor) -> Cursor:
    """As long before as a transaction may take."""
    at, _ = cursor
    return (at - AGAIN if at.timestamp() > 0 else at), ""


class Follower:
    """Reads changes of one tenant, each state of an event once."""

    def __init__(self, store: Changes, reader: Reader, tenant: str | None, start: Cursor) -> None:
        self._store, self._reader, self._tenant = store, reader, tenant
        self._at: Cursor = start
        self._read: set[Cursor] = set()
        self._seen: dict[str, tuple[datetime, State]] = {}

    async def step(self) -> AsyncIterator[Item]:
        """What is new since the last step, page by page.

        The last seconds are looked at again, however full.
        """
        at = self._at
        again = max(at, (await self._store.now() - AGAIN, ""))
        while True:
            page = await self._store.changes(self._tenant, at, limit=PAGE)
            for item in await self._new(page):
                yield item
            if len(page) < PAGE:
                break
            at = (page[-1].at, page[-1].id)
            # Between pages too: who comes back after hours reads many of them.
            self._forget(min(at, again)[0] - AGAIN)
        self._at = again
        self._forget(again[0] - AGAIN)

    def _forget(self, before: datetime) -> None:
        """What is older is not read again."""
        self._read = {one for one in self._read if one[0] >= before}
        self._seen = {key: one for key, one in self._seen.items() if one[0] >= before}

    async def _new(self, page: Sequence[EventChange]) -> list[Item]:
        last = {change.id: change for change in page if (change.at, change.id) not in self._read}
        events = (
            {event.id: event for event in await self._reader.get_events(self._tenant, list(last))}
            if last
            else {}
        )
        found = []
        for change in sorted(last.values(), key=lambda change: (change.at, change.id)):
            event = events.get(change.id)
            known = self._seen.get(change.id)
            if event is None or (known is not None and known[1] == state_of(event)):
                continue
            self._seen[change.id] = (change.at, state_of(event))
            found.append(Item(change.at, event))
        self._read.update((change.at, change.id) for change in page)
        return found


class Listener:
    """One who looks, or who looks again (`returns`); `None` in the queue ends it."""

    def __init__(self, *, returns: bool = False) -> None:
        self.queue: asyncio.Queue[Item | None] = asyncio.Queue(QUEUE)
        self.returns, self.lagged = returns, False

    def give(self, item: Item) -> None:
        """One more item; a listener that does not take them is let go."""
        if self.lagged:
            return
        if self.queue.full():
            # What it has not taken goes, so that there is room for the end and it hears of it at
            # once.
            self.lagged = True
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)
            return
        self.queue.put_nowait(item)


class Tail:
    """Pollers by tenant; a tenant's is stopped when its last listener has left."""

    def __init__(self, store: Changes, reader: Reader, *, poll_s: float = POLL_S) -> None:
        self._store, self._reader, self._poll_s = store, reader, poll_s
        self._listeners: dict[str | None, set[Listener]] = {}
        self._tasks: dict[str | None, asyncio.Task[None]] = {}

    @property
    def pollers(self) -> int:
        """How many tenants are looked at now."""
        return len(self._tasks)

    async def follow(
        self, tenant: str | None, after: Cursor | None
    ) -> AsyncGenerator[Item | None, None]:
        """What comes, at first what came since `after`; None when the listener was too slow."""
        listener = Listener(returns=after is not None)
        # Listening begins before the past is read: what changes meanwhile waits in the queue.
        with self._listening(tenant, listener):
            shown: dict[str, State] = {}  # of the last seconds: what the poller may show too
            if after is not None:
                recent = await self._store.now() - 2 * AGAIN
                async for item in Follower(
                    self._store, self._reader, tenant, _before(after)
                ).step():
                    if item.at >= recent:
                        shown[item.event.id] = state_of(item.event)
                    yield item
            while True:
                live = await listener.queue.get()
                if live is not None and shown.pop(live.event.id, None) == state_of(live.event):
                    continue
                yield live
                if live is None:
                    return

    @contextlib.contextmanager
    def _listening(self, tenant: str | None, listener: Listener) -> Iterator[None]:
        self._listeners.setdefault(tenant, set()).add(listener)
        if tenant not in self._tasks:
            self._tasks[tenant] = asyncio.create_task(self._poll(tenant))
        try:
            yield
        finally:
            self._listeners[tenant].discard(listener)
            if not self._listeners[tenant]:
                del self._listeners[tenant]
                self._tasks.pop(tenant).cancel()

    async def _poll(self, tenant: str | None) -> None:
        """The first step begins some seconds before: what is of then is for those who return."""
        follower: Follower | None = None
        start: datetime | None = None
        while True:
            try:
                if follower is None:
                    start = await self._store.now()
                    follower = Follower(self._store, self._reader, tenant, _before((start, "")))
                async for item in follower.step():
                    for listener in tuple(self._listeners.get(tenant, ())):
                        # Who only begins to look has asked for nothing that was before.
                        if start is None or item.at >= start or listener.returns:
                            listener.give(item)
                start = None
            except StoreError as error:
                log.warning("tail.store_unavailable", error=str(error))
            await asyncio.sleep(self._poll_s)
