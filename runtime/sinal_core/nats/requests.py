"""Pipelined requests over one connection: many wait at once, each for its own answer.

Invariant: a request ends by its answer, its time-out, or the loss of the connection, whichever is
first. A lost connection fails the waiting ones at once, so that ingest can spool instead of holding
its senders for seconds. One timer looks after all time-outs while anything waits, so a request may
end up to `LOOK_S` late.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import NamedTuple

import nats.errors
import structlog
from nats.aio.msg import Msg

from sinal_core.nats.errors import BusError, BusUnavailable, MessageTooLarge
from sinal_core.nats.fast_client import FastClient
from sinal_core.telemetry.places import where

log = structlog.get_logger(__name__)

LOOK_S = 0.05


class Reply(NamedTuple):
    """An answer as it came."""

    data: bytes
    headers: Mapping[str, str] | None = None


Done = Callable[[Reply | BusError], None]


class Waiting(NamedTuple):
    """A request under way."""

    done: Done
    subject: str
    timeout_s: float
    deadline: float  # of the loop's clock


class RequestMultiplexer:
    """The answers that are still awaited, by the last token of their inbox."""

    def __init__(self, client: FastClient) -> None:
        self._client = client
        self._inbox = ""  # the client names it by what it is told when it connects
        # never used again: a late answer must not end another's request
        self._tokens = count()
        self._waiting: dict[bytes, Waiting] = {}
        self._looking: asyncio.TimerHandle | None = None

    async def attach(self) -> None:
        """Subscribe to the inbox; once, the client subscribes again by itself after a reconnect."""
        self._inbox = self._client.new_inbox()
        self._client.hand_over(self._inbox, self._answered)
        await self._client.subscribe(
            f"{self._inbox}.*", cb=self._delivered, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def call(
        self, subject: str, body: bytes, *, headers: dict[str, str] | None = None, timeout_s: float
    ) -> Reply:
        """Send a request and return its answer; raises BusUnavailable, MessageTooLarge."""
        future: asyncio.Future[Reply | BusError] = asyncio.get_running_loop().create_future()
        token = self._expect(subject, timeout_s, partial(_settle, future))
        return await self._sent(token, subject, future, body, headers)

    def post(self, subject: str, body: bytes, *, msg_id: str, timeout_s: float, done: Done) -> bool:
        """Send a message with an id at once and call `done` with how it ended.

        Raises MessageTooLarge.

        False where it takes `call`: the connection's buffer is full, or the id is none for a header
        as it stands.
        """
        # The short way writes it into the header as it stands: after a line break in it the sender
        # could go on with headers of its own.
        if not (msg_id.isascii() and msg_id.isprintable()):
            return False
        token = self._expect(subject, timeout_s, done)
        sent = False
        try:
            reply = f"{self._inbox}.{token.decode()}"
            sent = self._client.post(subject, body, reply=reply, msg_id=msg_id.strip().encode())
        except nats.errors.MaxPayloadError:
            raise self._too_large(subject, body) from None
        finally:
            if not sent:
                del self._waiting[token]
        return sent

    def _expect(self, subject: str, timeout_s: float, done: Done) -> bytes:
        loop = asyncio.get_running_loop()
        token = b"%d" % next(self._tokens)
        self._waiting[token] = Waiting(done, subject, timeout_s, loop.time() + timeout_s)
        if self._looking is None:
            self._looking = loop.call_later(LOOK_S, self._look)
        return token

    async def _sent(
        self,
        token: bytes,
        subject: str,
        future: asyncio.Future[Reply | BusError],
        body: bytes,
        headers: dict[str, str] | None,
    ) -> Reply:
        try:
            await self._client.publish(
                subject, body, reply=f"{self._inbox}.{token.decode()}", headers=headers
            )
            return told(await future)
        except nats.errors.MaxPayloadError:
            raise self._too_large(subject, body) from None
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"{subject}: {type(error).__name__}") from error
        finally:
            self._waiting.pop(token, None)

    def _too_large(self, subject: str, body: bytes) -> MessageTooLarge:
        most = self._client.max_payload
        return MessageTooLarge(
            f"{subject}: {len(body)} bytes are more than the broker's limit of {most}"
        )

    async def _delivered(self, message: Msg) -> None:
        self._end(message.subject.rpartition(".")[2].encode(), Reply(message.data, message.headers))

    def _answered(self, token: bytes, data: bytes) -> None:
        self._end(token, Reply(data))

    def _end(self, token: bytes, result: Reply | BusError) -> None:
        waiting = self._waiting.pop(token, None)
        if waiting is None:
            return
        try:
            waiting.done(result)
        except Exception as error:  # of who waits: the others must have their answers
            log.error("bus.reply_failed", error=type(error).__name__, at=where(error))

    def _look(self) -> None:
        """End what has waited long enough; come again as long as anything waits."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for token, late in [
            (token, one) for token, one in self._waiting.items() if one.deadline <= now
        ]:
            self._end(
                token, BusUnavailable(f"{late.subject}: no answer within {late.timeout_s:g} s")
            )
        self._looking = loop.call_later(LOOK_S, self._look) if self._waiting else None

    def __len__(self) -> int:
        """How many are awaited."""
        return len(self._waiting)

    async def idle(self, *, timeout_s: float) -> None:
        """Wait until nothing is awaited any more, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._waiting:  # noqa: ASYNC110 - at the end of a process, and once
                    await asyncio.sleep(0.01)

    def fail_all(self) -> None:
        """The connection is lost: what was waiting is in doubt."""
        for token in tuple(self._waiting):
            self._end(token, BusUnavailable("the connection was lost before the broker answered"))


def told(result: Reply | BusError) -> Reply:
    """The answer; raises what the request ended by instead."""
    if isinstance(result, BusError):
        raise result
    return result


def _settle(future: asyncio.Future[Reply | BusError], result: Reply | BusError) -> None:
    """Always with a result, so that one whom nobody awaits any more is no fault."""
    if not future.done():
        future.set_result(result)
