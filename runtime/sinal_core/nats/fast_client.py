"""nats-py's client with two short ways for what an edge does thousands of times a second: publish,
and take the ack.

The library's own way costs a publish three futures and queues, two patterns on subjects and the
assembling of headers, and an ack a task switch in the subscription that it goes through.
Connecting, reconnecting, TLS, credentials, pings and every other message stay the library's: an
answer that does not lie whole in what was read takes its way too. This is the one module that
touches the client's private parts.

What is published is written at once, or `APART_S` after the write before: a write is a system call,
a wake-up of the broker and one of its reader, and at a thousand messages a second each of them
takes a few along for the price of one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from sinal_crds import trust

APART_S = 0.002  # between two writes of what is published: an ack comes that much later at most
Answered = Callable[[bytes, bytes], None]  # last token of the inbox, body

_PUBLISH = b"HPUB %b %d %d\r\nNATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n%b\r\n"
_HEAD_LENGTH = len(b"NATS/1.0\r\nNats-Msg-Id: \r\n\r\n")  # beside the id


class FastClient(Client):
    """One connection to the broker."""

    _written_at = float("-inf")  # of the loop's clock
    _later: asyncio.TimerHandle | None = None

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        trust.demand(info, of=self.options.get("tls"))
        await super()._process_info(info, initial_connection)

    def hand_over(self, inbox: str, answered: Answered) -> None:
        """Call `answered` for messages without headers to `inbox` and one more token, as soon as
        they are read.
        """
        self._ps = _AnswersFirst(self, inbox, answered)

    def post(self, subject: str, body: bytes, *, reply: str, msg_id: bytes) -> bool:
        """Publish with a `Nats-Msg-Id`, sent with whatever else is published in this turn of the
        loop or `APART_S`.

        Raises MaxPayloadError. False where the usual way must be taken: it waits while the buffer
        is full, and says what is wrong with the connection.
        """
        if len(body) > self._max_payload:
            raise nats.errors.MaxPayloadError
        queue = self._flush_queue
        if (
            queue is None
            or not self.is_connected
            or self._pending_data_size > self._max_pending_size
        ):
            return False
        flusher = self._flusher_task
        if flusher is None or flusher.done():
            return False
        length = _HEAD_LENGTH + len(msg_id)
        where = f"{subject} {reply}".encode()
        command = _PUBLISH % (where, length, length + len(body), msg_id, body)
        self._pending.append(command)
        self._pending_data_size += len(command)
        # else a write is under way or set, and takes this along
        if self._later is None and queue.empty():
            self._write_soon(queue)
        return True

    def _write_soon(self, queue: asyncio.Queue[asyncio.Future[Any]]) -> None:
        loop = asyncio.get_running_loop()
        due = self._written_at + APART_S
        if loop.time() < due:
            self._later = loop.call_at(due, self._write, queue)
        else:
            self._write(queue)

    def _write(self, queue: asyncio.Queue[asyncio.Future[Any]]) -> None:
        """Wake the library's writer."""
        loop = asyncio.get_running_loop()
        self._later, self._written_at = None, loop.time()
        if queue.empty():
            queue.put_nowait(loop.create_future())


class _AnswersFirst(Parser):
    """Looks for answers at the beginning of what was read, and gives the rest to the library."""

    def __init__(self, client: Client, inbox: str, answered: Answered) -> None:
        super().__init__(client)
        self._answered = answered
        self._match = re.compile(
            rb"MSG %b\.([^ .]+) \d+ (\d+)\r\n" % re.escape(inbox.encode())
        ).match

    async def parse(self, data: bytes = b"") -> None:
        """Take what can be taken at once."""
        # anywhere else these bytes may be a message's body, which can look like an answer
        if self.state == AWAITING_CONTROL_LINE and not self.buf:
            at = self._take(data)
            if at == len(data):
                return
            data = data[at:] if at else data
        await super().parse(data)

    def _take(self, data: bytes) -> int:
        """Hand over the answers that lie whole at the beginning; returns where the rest begins."""
        at = 0
        while (found := self._match(data, at)) is not None:
            end = found.end() + int(found[2])
            if end + 2 > len(data):
                break
            self._answered(found[1], data[found.end() : end])
            at = end + 2
        return at
