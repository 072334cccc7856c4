"""uvicorn's HTTP protocol, guarded against senders that never finish their request's head.

uvicorn bounds neither how long a head takes to arrive nor, with httptools, how large it grows; the body's bounds are
the application's. A connection that breaks a bound here has no request yet, so it is closed without an answer.

A body that came with its head, as nearly all do, stands in the scope: it is read without a task switch and a timer.
So does a way to answer with one write: uvicorn's own makes two, of head and body, and each of them is a system call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from sinal_runtime.ingest.exchange import CLOSE, ONE_WRITE, WHOLE_BODY, Header

HEAD_TIMEOUT_S = 10.0
MAX_HEAD_BYTES = 64 * 1024


class Guarded(HttpToolsProtocol):
    """One connection whose heads are bounded in time and size."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes: int = 0
    _in_head: bool = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A first head is due from now on."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished head."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """The next head on a kept connection starts with its first byte, not before: idle is keep-alive's matter."""
        super().on_message_begin()
        self._in_head = True
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_done()
        super().on_headers_complete()
        cast(dict[str, Any], self.cycle.scope)[ONE_WRITE] = partial(_answer, self.cycle)

    def on_message_complete(self) -> None:
        """The request is whole; as long as nobody has asked for a part of the body, all of it is here."""
        super().on_message_complete()
        cast(dict[str, Any], self.cycle.scope)[WHOLE_BODY] = bytes(self.cycle.body)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_late)

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _head_done(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _answer(cycle: RequestResponseCycle, status: int, headers: Sequence[Header], body: bytes) -> bool:
    """Send the whole answer at once; False where the connection's buffer is full, so that the usual way must wait."""
    if cycle.flow.write_paused:
        return False
    if cycle.disconnected:
        return True
    parts = [STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in headers)]
    if CLOSE in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        parts.append(b"%b: %b\r\n" % CLOSE)
    cycle.transport.write(b"".join((*parts, b"\r\n", b"" if cycle.scope["method"] == "HEAD" else body)))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
