"""Bounds of a request's body, for servers that are made with a framework.

It is read before its sender's key is looked at, so anybody may send one.

The bounds are those of the stream and not of a declared length, which a body in chunks does not
have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sinal_core.http.problem import Problem, too_large, too_slow

MAX_BYTES = 1 << 20  # the largest is a funnel's manifest, and etcd takes no object that is larger
PATIENCE_S = 10.0
Refusal = Callable[[Problem], Exception]


class Bounded:
    """Middleware: a body above `limit` bytes is 413, one that takes longer than `patience_s` is
    408.

    `refusal` makes of either what the framework lets through to its own answers.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        refusal: Refusal,
        limit: int = MAX_BYTES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._app, self._refusal = app, refusal
        self._limit, self._patience_s = limit, patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with its body watched."""
        await self._app(scope, self._watched(receive) if scope["type"] == "http" else receive, send)

    def _watched(self, receive: Receive) -> Receive:
        size, whole = 0, False
        # one moment for the whole body: with a time-out for each message a sender could drip for
        # ever
        due = asyncio.get_running_loop().time() + self._patience_s

        async def watched() -> Message:
            nonlocal size, whole
            if whole:
                # behind the body a framework waits for the disconnect, as long as its answer takes
                return await receive()
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise self._refusal(too_slow(self._patience_s)) from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > self._limit:
                raise self._refusal(too_large(self._limit))
            return message

        return watched
