"""uvicorn's HTTP protocol, guarded against senders that never finish a request's head or its tail.

uvicorn bounds neither how long a head takes to arrive nor, with httptools, how large it grows; the
body's bounds are the application's. A connection that breaks a bound here has no request yet, so it
is closed without an answer; only what has too many headers is told so, since that may be a proxy of
one's own.

A header is what stands in the head. Trailers (RFC 9112, 7.1.2) come after the body, past every
proxy that sets or strips headers, so they are read and dropped. What carries no body (trailers,
chunk extensions) is bounded too.

A deadline is a number here, and one timer a connection looks at it now and then: the loop's timers
cost more than what they would watch. So a connection may be closed up to `LOOK_S` late.

A body that came with its head, as nearly all do, stands in the scope: it is read without a task
switch and a timer. So does a way to answer with one write: uvicorn's own makes two, of head and
body, and each of them is a system call.

An application with a `begin` is offered whole POST requests that come alone. What it takes costs
neither uvicorn's task nor its cycle: the application calls back with the answer. What it does not
take goes uvicorn's way as if nothing had happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from sinal_core.http.exchange import CLOSE, ONE_WRITE, WHOLE_BODY, Header, Reply, Request

HEAD_TIMEOUT_S = 10.0
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = (
    # browsers send some twenty, proxies add as many; each costs work before anything is known of
    # the sender
    200
)
MAX_FRAMING_BYTES = 8 * 1024  # in reads, one after the other, that bring nothing of the body
LOOK_S = 2.0
_NEVER = float("inf")


class _TooManyHeaders(Exception):
    """The head has more headers than any sender needs."""


class _Unheard:
    """An event that nobody waits for."""

    def set(self) -> None:
        """Nothing comes of it."""


class Taken:
    """What stands for uvicorn's cycle while the application has a request: all that uvicorn asks of
    one under way.
    """

    message_event = _Unheard()

    def __init__(self) -> None:
        self.response_complete = False
        self.disconnected = False  # set when the connection is lost
        self.keep_alive = True  # unset when the server stops


class Guarded(HttpToolsProtocol):
    """One connection whose heads are bounded in time and size."""

    _due: float = _NEVER  # when it is closed for what has not come until then; of the loop's clock
    _look: asyncio.TimerHandle | None = None
    _head_bytes: int = 0
    _framing_bytes: int = 0  # received after the head since the last of the body came
    _in_head: bool = True
    _held: bytes | None = None  # the body so far of what may be taken at once

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begin: Callable[[Request, Reply], bool] | None = getattr(self.app, "begin", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A first head is due from now on."""
        super().connection_made(transport)
        self._due = self.loop.time() + HEAD_TIMEOUT_S
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished head, and what comes after it without being body."""
        if self._in_head:
            # Counted before the parser runs: a head that ends in this read sets the count back to
            # nothing.
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        self._parse(data)
        if self._held is not None:  # more is to come: not whole, so not at once
            body, self._held = self._held, None
            self._usual_head()
            super().on_body(body)
        if self._framing_bytes > MAX_FRAMING_BYTES or (
            self._in_head and self._head_bytes > MAX_HEAD_BYTES
        ):
            self.transport.close()

    def _parse(self, data: bytes) -> None:
        """Feed the parser.

        Unlike uvicorn, log nothing: anybody can send a broken request, as often as they like.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooManyHeaders):
                self._refuse_head()
            else:
                self.send_400_response("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade:
            # RFC 9110, 7.8: a server may ignore Upgrade, and the request is answered as it is
            return

    def on_message_begin(self) -> None:
        """The next head on a kept connection starts with its first byte, not before: idle is
        keep-alive's matter.
        """
        super().on_message_begin()
        self._framing_bytes = 0
        if not self._in_head:
            self._in_head = True
            self._due = self.loop.time() + HEAD_TIMEOUT_S

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; drop a trailer."""
        if not self._in_head:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise _TooManyHeaders
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def _refuse_head(self) -> None:
        """RFC 6585, 5: the head is too large; nothing more is read."""
        words = b"More than %d headers in one request." % MAX_HEADERS
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[431] + head % len(words) + words)
        self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is whole; a request that may be taken at once waits for its body."""
        self._in_head, self._head_bytes, self._framing_bytes, self._due = False, 0, 0, _NEVER
        if self._begin is not None and self._is_plain():
            self._held = b""
        else:
            self._usual_head()

    def on_body(self, body: bytes) -> None:
        """Keep the body of what may be taken at once."""
        self._framing_bytes = 0
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """The request is whole.

        As long as nobody has asked for a part of the body, all of it is here.
        """
        self._framing_bytes = 0
        if self._held is not None:
            body, self._held = self._held, None
            if self._took(body):
                return
            self._usual_head()
            super().on_body(body)
        super().on_message_complete()
        cast(dict[str, Any], self.cycle.scope)[WHOLE_BODY] = bytes(self.cycle.body)

    def _usual_head(self) -> None:
        super().on_headers_complete()
        cast(dict[str, Any], self.cycle.scope)[ONE_WRITE] = partial(_answer, self.cycle)

    def _is_plain(self) -> bool:
        """Whether it is a POST to a plain path, alone on a connection that is kept."""
        return (
            self.parser.get_method() == b"POST"
            # answers leave in the order of their requests (RFC 9112, 9.3.2): behind one under way
            # it takes its place in uvicorn's pipeline
            and (self.cycle is None or self.cycle.response_complete)
            and b"?" not in self.url
            # undoing percent signs, and URLs with a host in them, is left to uvicorn
            and b"%" not in self.url
            and self.url.startswith(b"/")
            # a sender that expects 100 holds its body back until it is told to go on, which only
            # uvicorn's `receive` does
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    def _took(self, body: bytes) -> bool:
        path = self.url.decode("latin-1")
        request = Request.whole("POST", path, headers=self.headers, body=body, peer=self.client)
        taken = Taken()
        # In place before `begin`, which may reply at once. A connection whose cycle has nothing
        # under way is closed by uvicorn's shutdown, with the answer still to come.
        before, self.cycle = self.cycle, cast(RequestResponseCycle, taken)
        if self._begin is not None and self._begin(request, partial(self._reply, taken)):
            return True
        self.cycle = before
        return False

    def _reply(self, taken: Taken, status: int, headers: list[Header], body: bytes) -> None:
        taken.response_complete = True
        if taken.disconnected:
            return
        if not taken.keep_alive and CLOSE not in headers:
            headers.append(CLOSE)
        self.transport.write(
            b"".join(
                (
                    STATUS_LINE[status],
                    *(b"%b: %b\r\n" % header for header in headers),
                    b"\r\n",
                    body,
                )
            )
        )
        if CLOSE in headers:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline, or wait for one as long as a connection is
        kept.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._in_head:
            self._due = self.loop.time() + self.timeout_keep_alive

    def _look_again(self) -> None:
        if self.transport.is_closing():
            return
        left = self._due - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            # not for all that is left: a nearer deadline may have been set by then
            self._look = self.loop.call_later(min(left, LOOK_S), self._look_again)


def _answer(
    cycle: RequestResponseCycle, status: int, headers: Sequence[Header], body: bytes
) -> bool:
    """Send the whole answer at once.

    False where the connection's buffer is full, so that the usual way must wait.
    """
    if cycle.flow.write_paused:
        return False
    if cycle.disconnected:
        return True
    parts = [STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in headers)]
    if CLOSE in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        parts.append(b"%b: %b\r\n" % CLOSE)
    cycle.transport.write(
        b"".join((*parts, b"\r\n", b"" if cycle.scope["method"] == "HEAD" else body))
    )
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    # an application that still waits in `receive` hears the end now
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
