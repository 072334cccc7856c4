"""The live tail as server-sent events: `id` is a cursor, `event: event` carries an event, a comment keeps it alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse

from sinal_runtime.api.access import Viewer
from sinal_runtime.api.answers import read_cursor
from sinal_runtime.api.filters import Outcome, Word
from sinal_runtime.api.leaving import Leaving
from sinal_runtime.api.tail import Item, Tail
from sinal_runtime.store.reading import EventDetail

HEARTBEAT_S = 10.0
LIFE_S = 900.0  # then the client comes back and its key is checked again
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
        asked = ((self.funnel, event.funnel), (self.kind, event.kind), (self.outcome, event.outcome.state))
        return all(wanted is None or wanted == has for wanted, has in asked)


def routes(tail: Tail, leaving: Leaving, *, heartbeat_s: float = HEARTBEAT_S, life_s: float = LIFE_S) -> APIRouter:
    """The live tail."""
    router = APIRouter(prefix="/api/v1/events", tags=["events"])

    @router.get(
        "/stream",
        summary="Events as they come and change",
        response_class=StreamingResponse,
        responses={200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}},
    )
    async def stream(
        caller: Viewer,
        query: Annotated[Wanted, Query()],
        last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=512)] = None,
    ) -> StreamingResponse:
        """An event comes when it is stored and again when its outcome or a delivery changes.

        With `Last-Event-ID` it goes on behind that one; the last seconds may be repeated. `event: lagged` ends a stream
        whose client was too slow: come back with the last id.
        """
        after = read_cursor(last) if last else None
        items = tail.follow(caller.scope(query.tenant), after)
        lines = _lines(items, query, leaving, heartbeat_s=heartbeat_s, life_s=life_s)
        return StreamingResponse(lines, media_type="text/event-stream", headers=_HEADERS)

    return router


async def _lines(
    items: AsyncGenerator[Item | None, None], query: Wanted, leaving: Leaving, *, heartbeat_s: float, life_s: float
) -> AsyncIterator[bytes]:
    ends = asyncio.get_running_loop().time() + life_s
    yield b"retry: 2000\n\n"
    waiting: asyncio.Future[Item | None] | None = None
    ended = asyncio.ensure_future(leaving.ended())
    try:
        while asyncio.get_running_loop().time() < ends:
            waiting = waiting or asyncio.ensure_future(anext(items, None))
            either: set[asyncio.Future[Any]] = {waiting, ended}
            await asyncio.wait(either, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return
            if not waiting.done():
                yield b": still here\n\n"
                continue
            item, waiting = waiting.result(), None
            if item is None:
                yield b"event: lagged\ndata: {}\n\n"
                return
            if query.fits(item.event):
                yield b"id: %s\nevent: event\ndata: %s\n\n" % (item.cursor.encode(), msgspec.json.encode(item.event))
    finally:
        ended.cancel()
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await items.aclose()
