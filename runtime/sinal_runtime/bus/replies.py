"""Pipelined requests over one connection: many wait at once, each for its own answer.

Invariant: a request ends by its answer, its time-out, or the loss of the connection, whichever is first. A lost
connection fails the waiting ones at once, so that ingest can spool instead of holding its senders for seconds.
"""

from __future__ import annotations

import asyncio
from itertools import count

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from sinal_runtime.bus.errors import BusUnavailable, MessageTooLarge


class Replies:
    """The answers that are still awaited, by the last token of their inbox."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._tokens = count()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}

    async def attach(self) -> None:
        """Subscribe to the inbox; once, the client subscribes again by itself after a reconnect."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered, pending_msgs_limit=0, pending_bytes_limit=0)

    async def _answered(self, message: Msg) -> None:
        future = self._waiting.pop(message.subject.rpartition(".")[2], None)
        if future is not None and not future.done():
            future.set_result(message)

    async def call(self, subject: str, body: bytes, *, headers: dict[str, str] | None = None, timeout_s: float) -> Msg:
        """Send a request and return its answer; raises BusUnavailable, MessageTooLarge."""
        token = str(next(self._tokens))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Msg] = loop.create_future()
        self._waiting[token] = future
        timer = loop.call_later(timeout_s, self._expire, token, subject, timeout_s)
        try:
            await self._client.publish(subject, body, reply=f"{self._inbox}.{token}", headers=headers)
            return await future
        except nats.errors.MaxPayloadError:
            raise MessageTooLarge(
                f"{subject}: {len(body)} bytes are more than the broker's limit of {self._client.max_payload}"
            ) from None
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"{subject}: {type(error).__name__}") from error
        finally:
            timer.cancel()
            self._waiting.pop(token, None)

    def _expire(self, token: str, subject: str, timeout_s: float) -> None:
        future = self._waiting.pop(token, None)
        if future is not None and not future.done():
            future.set_exception(BusUnavailable(f"{subject}: no answer within {timeout_s:g} s"))

    async def idle(self, *, timeout_s: float) -> None:
        """Wait until nothing is awaited any more, or the time is over."""
        if self._waiting:
            await asyncio.wait(self._waiting.values(), timeout=timeout_s)

    def fail_all(self) -> None:
        """The connection is lost: what was waiting is in doubt."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(BusUnavailable("the connection was lost before the broker answered"))
