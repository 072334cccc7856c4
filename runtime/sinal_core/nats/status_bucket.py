"""The KV bucket of facts as its writer and its readers in the runtime see it.

One process writes (who holds housekeeping's lease), but another may have done so before, and the
broker may lose all of it: the writer reads the bucket whole whenever it is not as it left it, which
one small request tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, cast

from sinal_core.nats import wire
from sinal_core.nats.errors import BusUnavailable, LaneMissing
from sinal_core.nats.jetstream import Api, JetStream
from sinal_crds.names import STATUS_BUCKET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sinal_core.nats.client import Bus
    from sinal_core.nats.kv import Bucket

LOAD_S = 10.0
_STREAM = f"KV_{STATUS_BUCKET}"
_SUBJECT = f"$KV.{STATUS_BUCKET}."


class _Mark(NamedTuple):
    """What changes whenever the bucket does."""

    created: str
    last_seq: int
    messages: int


class StatusBucket:
    """What hangs there, and writes of what differs. Every method raises BusError."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._jetstream = JetStream(bus.api)
        self._values: dict[str, bytes] = {}
        self._left: _Mark | None = None

    async def look(self) -> Mapping[str, bytes]:
        """What hangs there now, by key."""
        try:
            mark = await self._mark()
        except LaneMissing:
            self._bus.request_provision()
            raise
        if mark != self._left:
            self._values = await self._load() if mark.messages else {}
            self._left = mark
        return self._values

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """Hang up entries that are new or other ones."""
        if entries:
            self._left = None  # until all of it is known to hang there
            await asyncio.gather(*(self._put(key, value) for key, value in entries.items()))
            self._left = await self._mark()

    async def _put(self, key: str, value: bytes) -> None:
        answer = wire.decode_puback((await self._bus.call(_SUBJECT + key, value)).data)
        if answer.error is not None:
            raise wire.error_of(answer.error, key)
        self._values[key] = value

    async def take_down(self, keys: set[str]) -> None:
        """Take entries away."""
        for key in keys:
            await self._jetstream.purge(_STREAM, _SUBJECT + key)
            self._values.pop(key, None)
        self._left = await self._mark()

    async def _mark(self) -> _Mark:
        info = await self._jetstream.stream_info(_STREAM)
        # a purge moves no sequence: only the number of messages tells of it
        return _Mark(info.created, info.state.last_seq, info.state.messages)

    async def _load(self) -> dict[str, bytes]:
        watch = cast("AsyncGenerator[Bucket]", self._bus.watch(STATUS_BUCKET))
        try:
            async with asyncio.timeout(LOAD_S), aclosing(watch):
                async for content in watch:
                    return {
                        key: value for key, value in content.values.items() if value is not None
                    }
        except TimeoutError:
            pass
        raise BusUnavailable(f"bucket {STATUS_BUCKET}: it can't be read")


async def read(api: Api, key: str) -> bytes | None:
    """One entry as it is now, for a reader; raises BusError."""
    found = await JetStream(api).last_message(_STREAM, _SUBJECT + key)
    return None if found is None else found.body
