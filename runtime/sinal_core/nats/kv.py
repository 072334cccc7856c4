"""Watch a KV bucket: its whole content after every change, whatever happens to the connection or
the bucket.

A session is an ephemeral consumer that delivers the last value of every key and then each change.
Anything that may have cost a change (a lost connection, a missing heartbeat, a deleted consumer)
ends the session, and the next one loads everything again: the watch is level-based and can't miss a
change for longer than the re-load takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import structlog
from nats.aio.msg import Msg

from sinal_core.nats import wire
from sinal_core.nats.errors import BusError, LaneMissing
from sinal_core.nats.jetstream import API, ConsumerInfo, JetStream

if TYPE_CHECKING:
    from sinal_core.nats.client import Bus

log = structlog.get_logger(__name__)

BATCH = 256
EXPIRES_S = 30
HEARTBEAT_S = 5
RETRY_S = 0.5
_PULL = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (
    BATCH,
    EXPIRES_S * 10**9,
    HEARTBEAT_S * 10**9,
)
_EXPIRED = frozenset({"404", "408"})
_DELETIONS = frozenset({"DEL", "PURGE"})


class Bucket(msgspec.Struct, frozen=True):
    """Content of a bucket; None marks a key that was deleted.

    `created` tells one bucket from another of the same name: after a loss of the broker's data, a
    key that is absent from the new bucket was lost, not deleted.
    """

    created: str
    values: Mapping[str, bytes | None]


class _SessionLost(Exception):
    """The session can't vouch for its content any longer."""


class _Session:
    """One load and the changes after it."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        self._bus = bus
        self._jetstream = JetStream(bus.api)
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._inbox = bus.link.client.new_inbox()
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._values: dict[str, bytes | None] = {}
        self._credit = 0

    async def run(self) -> AsyncIterator[Bucket]:
        async def received(message: Msg) -> None:
            self._queue.put_nowait(message)

        forget = self._bus.link.listen(up=lambda: None, down=lambda: self._queue.put_nowait(None))
        # without limits: nats-py drops what exceeds them, and a change would be missed unseen
        subscription = await self._bus.link.client.subscribe(
            self._inbox, cb=received, pending_msgs_limit=0, pending_bytes_limit=0
        )
        try:
            created = (await self._jetstream.stream_info(self._stream)).created
            consumer = await self._consumer()
            missing = consumer.num_pending
            while True:
                # not before all is here: readers take a key that is absent for one that was removed
                if missing <= 0 and self._queue.empty():
                    yield Bucket(created, MappingProxyType(dict(self._values)))
                missing -= await self._step(consumer.name)
        finally:
            forget()
            if not self._bus.link.client.is_closed:
                await subscription.unsubscribe()

    async def _consumer(self) -> ConsumerInfo:
        config = {
            "deliver_policy": "last_per_subject",
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": f"{self._prefix}>",
            # the server removes it by itself when this process is gone
            "inactive_threshold": 60 * 10**9,
            # nothing of a session is worth keeping: the next one loads everything anew
            "mem_storage": True,
            "num_replicas": 1,
        }
        return await self._jetstream.create_ephemeral(self._stream, config)

    async def _step(self, consumer: str) -> int:
        """Wait for at least one entry and take all that are there; returns how many."""
        taken = 0
        while not taken or not self._queue.empty():
            if self._credit <= 0:
                await self._pull(consumer)
            try:
                async with asyncio.timeout(2 * HEARTBEAT_S + 2):
                    message = await self._queue.get()
            except TimeoutError:
                raise _SessionLost("no heartbeat") from None
            taken += self._apply(message)
        return taken

    async def _pull(self, consumer: str) -> None:
        self._credit = BATCH
        await self._bus.send(
            f"{API}CONSUMER.MSG.NEXT.{self._stream}.{consumer}", _PULL, reply=self._inbox
        )

    def _apply(self, message: Msg | None) -> int:
        if message is None:
            raise _SessionLost("connection lost")
        # a status; an entry has an ack subject even where the consumer wants no acks
        if not message.reply:
            status = (message.headers or {}).get(wire.STATUS, "")
            if status in _EXPIRED:
                self._credit = 0
            elif status != wire.HEARTBEAT:
                raise _SessionLost(f"status {status}")
            return 0
        self._credit -= 1
        deleted = (message.headers or {}).get("KV-Operation", "") in _DELETIONS
        self._values[message.subject.removeprefix(self._prefix)] = None if deleted else message.data
        return 1


async def watch_bucket(bus: Bus, bucket: str) -> AsyncIterator[Bucket]:
    """Yield the content of a bucket at first and after every change, for ever.

    Waits for a bucket that is not there.
    """
    trouble = ""
    while True:
        try:
            async for content in _Session(bus, bucket).run():
                trouble = ""
                yield content
        except (BusError, _SessionLost, OSError) as error:
            if isinstance(error, LaneMissing):
                bus.request_provision()
            if type(error).__name__ != trouble:
                trouble = type(error).__name__
                log.warning("bus.watch_interrupted", bucket=bucket, reason=str(error))
        await asyncio.sleep(RETRY_S)
