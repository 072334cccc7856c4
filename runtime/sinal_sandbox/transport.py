"""Answers and failures on the wire: JSON answers, and endings that no well-behaved server would
give.

Each is an ASGI application. Failures need the connection itself, which the server puts into the
request's state (`server.Protocol`); they end only when the connection is gone or the process stops.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

encode = msgspec.json.Encoder(enc_hook=str).encode

_LINGER_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST instead of FIN
_FLUSH_S = 0.05  # for the half answer to reach the client before the reset


def json_answer(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response in the Graph API's content type."""
    return Response(
        encode(content),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json; charset=UTF-8",
    )


class Closing:
    """Lets waiting answers go when the process stops or the client left."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Release every waiter."""
        self._event.set()

    async def wait(self, receive: Receive, seconds: float | None) -> bool:
        """Sleep; False if the client left or the process stops before the time is over."""
        left = asyncio.ensure_future(_disconnected(receive))
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            done, _ = await asyncio.wait(
                {left, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return not done
        finally:
            left.cancel()
            stopping.cancel()


class Late:
    """An answer after a delay."""

    def __init__(self, answer: ASGIApp, *, seconds: float, closing: Closing) -> None:
        self._answer = answer
        self._seconds = seconds
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await self._closing.wait(receive, self._seconds):
            await self._answer(scope, receive, send)
        else:
            await abort(scope, receive)


class Hang:
    """No answer; the connection is closed after `seconds`, or stays until the client gives up."""

    def __init__(self, *, seconds: float | None, closing: Closing) -> None:
        self._seconds = seconds
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._closing.wait(receive, self._seconds)
        scope["state"]["transport"].close()
        await _disconnected(receive)


class Reset:
    """A TCP reset instead of an answer, or after half of it."""

    def __init__(self, *, after_half_of: Response | None = None) -> None:
        self._half = after_half_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._half is not None:
            body = bytes(self._half.body)
            await send(
                {
                    "type": "http.response.start",
                    "status": self._half.status_code,
                    "headers": self._half.raw_headers,
                }
            )
            await send(
                {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
            )
            await asyncio.sleep(_FLUSH_S)
        await abort(scope, receive)


class Dribble:
    """A normal answer whose body comes in small pieces over a time."""

    def __init__(self, answer: Response, *, seconds: float, closing: Closing) -> None:
        self._answer = answer
        self._seconds = seconds
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(self._answer.body)
        await send(
            {
                "type": "http.response.start",
                "status": self._answer.status_code,
                "headers": self._answer.raw_headers,
            }
        )
        for place in range(len(body)):
            if not await self._closing.wait(receive, self._seconds / len(body)):
                return await abort(scope, receive)
            await send(
                {"type": "http.response.body", "body": body[place : place + 1], "more_body": True}
            )
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def abort(scope: Scope, receive: Receive) -> None:
    """Reset the connection and wait until it is gone, so that the server adds no answer of its
    own.
    """
    transport: asyncio.Transport = scope["state"]["transport"]
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    transport.abort()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
