"""The live tail as server-sent events: `id` is a cursor, `event: event` carries an event, a comment
keeps it alive.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sinal_api.access import Access, Viewer
from sinal_api.filters import Outcome, Word
from sinal_api.problems import problem
from sinal_core.http.drain import Drain
from sinal_hub.services.callers import Caller
from sinal_hub.services.cursors import read_cursor
from sinal_hub.services.shapes import EventDetail
from sinal_hub.services.tail import Item, Tail

HEARTBEAT_S = 10.0  # so often the key is looked up again, too
PER_KEY, PER_TENANT, PER_PROCESS = 20, 60, 500  # streams at once
LIFE_S = 900.0  # then the client comes back
# nginx would collect lines until its buffer is full, unless told by this header.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Wanted(BaseModel):
    """Query of the stream; conditions combine."""

    model_config = ConfigDict(extra="forbid")

    tenant: Word | None = None
    funnel: Word | None = None
    kind: Word | None = None
    outcome: Outcome | None = None

    def fits(self, event: EventDetail) -> bool:
        """Whether the client wants to see it; its tenant is seen to already."""
        asked = (
            (self.funnel, event.funnel),
            (self.kind, event.kind),
            (self.outcome, event.outcome.state),
        )
        return all(wanted is None or wanted == has for wanted, has in asked)


class Seats:
    """Who looks now.

    A key, a tenant with all its keys, and everybody together have so many streams at once.
    """

    def __init__(
        self,
        *,
        per_key: int = PER_KEY,
        per_tenant: int = PER_TENANT,
        per_process: int = PER_PROCESS,
    ) -> None:
        self._bounds = {"this key": per_key, "this tenant": per_tenant, "this process": per_process}
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Streams that are open."""
        return self._taken["process"]

    @contextmanager
    def one(self, caller: Caller) -> Iterator[str | None]:
        """A seat until the end, or whose streams are as many as may be."""
        names = [f"key {caller.actor}", f"tenant {caller.tenant}", "process"]
        bounds = zip(names, self._bounds.items(), strict=True)
        full = [
            who
            for name, (who, most) in bounds
            # A key of the platform belongs to no tenant, so there is none to count it for.
            if self._taken[name] >= most and name != "tenant None"
        ]
        if full:
            yield (
                f"{full[0]} has {self._bounds[full[0]]} streams, which is the most: close one, "
                "or come back later"
            )
            return
        self._taken.update(names)
        try:
            yield None
        finally:
            self._taken.subtract(names)
            self._taken += Counter()  # forgets who has none


class Stream(StreamingResponse):
    """A stream that has its seat as long as it is sent."""

    def __init__(self, lines: AsyncIterator[bytes], seats: Seats, caller: Caller) -> None:
        super().__init__(lines, media_type="text/event-stream", headers=_HEADERS)
        self._seats, self._caller = seats, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or 429 where there is no seat."""
        with self._seats.one(self._caller) as full:
            if full is None:
                await super().__call__(scope, receive, send)
            else:
                refused = problem(429, full, headers={"Retry-After": str(int(HEARTBEAT_S))})
                await refused(scope, receive, send)


def routes(
    tail: Tail, leaving: Drain, *, heartbeat_s: float = HEARTBEAT_S, life_s: float = LIFE_S
) -> APIRouter:
    """The live tail."""
    seats = Seats()
    router = APIRouter(prefix="/api/v1/events", tags=["events"])

    @router.get(
        "/stream",
        summary="Events as they come and change",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}
        },
    )
    async def stream(
        request: Request,
        caller: Viewer,
        query: Annotated[Wanted, Query()],
        last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=512)] = None,
    ) -> StreamingResponse:
        """An event comes when it is stored and again when its outcome or a delivery changes.

        With `Last-Event-ID` it goes on behind that one; the last seconds may be repeated. `event:
        lagged` ends a stream whose client was too slow: come back with the last id. 429 says that a
        key, a tenant or this process has as many streams as may be. A stream ends within ten
        seconds of its key.
        """
        after = read_cursor(last) if last else None
        items = tail.follow(caller.scope(query.tenant), after)
        access: Access = request.app.state.access
        good = partial(access.still, request.headers.get("authorization"), caller)
        lines = _lines(items, query, leaving, good, heartbeat_s=heartbeat_s, life_s=life_s)
        return Stream(lines, seats, caller)

    return router


async def _lines(
    items: AsyncGenerator[Item | None, None],
    query: Wanted,
    leaving: Drain,
    good: Callable[[], Awaitable[bool]],
    *,
    heartbeat_s: float,
    life_s: float,
) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    ends, checked = clock() + life_s, clock()
    # milliseconds until a browser connects again by itself
    yield b"retry: 2000\n\n"
    waiting: asyncio.Future[Item | None] | None = None
    ended = asyncio.ensure_future(leaving.ended())
    try:
        while clock() < ends:
            # Kept over heartbeats: to cancel it would end the generator, and lose what came just
            # then.
            waiting = waiting or asyncio.ensure_future(anext(items, None))
            either: set[asyncio.Future[Any]] = {waiting, ended}
            await asyncio.wait(either, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return
            if clock() - checked >= heartbeat_s:
                if not await good():
                    return
                checked = clock()
            if not waiting.done():
                yield b": still here\n\n"
                continue
            item, waiting = waiting.result(), None
            if item is None:
                yield b"event: lagged\ndata: {}\n\n"
                return
            if query.fits(item.event):
                yield b"id: %s\nevent: event\ndata: %s\n\n" % (
                    item.cursor.encode(),
                    msgspec.json.encode(item.event),
                )
    finally:
        ended.cancel()
        if waiting is not None:
            waiting.cancel()
            # A generator can't be closed while its `anext` still runs.
            await asyncio.gather(waiting, return_exceptions=True)
        await items.aclose()
