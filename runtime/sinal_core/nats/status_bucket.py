"""The KV bucket of facts as its writer and its readers in the runtime see it.

One process writes (who holds housekeeping's lease), but another may have done so before, and the
broker may lose all of it: the writer reads the bucket whole whenever it is not as it left it, which
one small request tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import msgspec

from sinal_core.nats import wire
from sinal_core.nats.errors import BusRefused, BusUnavailable, LaneMissing
from sinal_core.nats.streams import Api
from sinal_crds.names import STATUS_BUCKET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sinal_core.nats.client import Bus
    from sinal_core.nats.kv import Bucket

LOAD_S = 10.0
_STREAM = f"KV_{STATUS_BUCKET}"
_SUBJECT = f"$KV.{STATUS_BUCKET}."
_NO_MESSAGE = 10037


class _State(msgspec.Struct, frozen=True):
    last_seq: int = 0
    messages: int = 0


class _Info(msgspec.Struct, frozen=True):
    created: str
    state: _State


class _Stored(msgspec.Struct, frozen=True):
    data: bytes = b""  # base64 on the wire


class _Got(msgspec.Struct, frozen=True):
    message: _Stored


_info = msgspec.json.Decoder(_Info).decode
_got = msgspec.json.Decoder(_Got).decode


class StatusBucket:
    """What hangs there, and writes of what differs. Every method raises BusError."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._values: dict[str, bytes] = {}
        self._left: _Info | None = None

    async def look(self) -> Mapping[str, bytes]:
        """What hangs there now, by key."""
        try:
            info = await self._info()
        except LaneMissing:
            self._bus.request_provision()
            raise
        if info != self._left:
            self._values = await self._load() if info.state.messages else {}
            self._left = info
        return self._values

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """Hang up entries that are new or other ones."""
        if entries:
            self._left = None  # until all of it is known to hang there
            await asyncio.gather(*(self._put(key, value) for key, value in entries.items()))
            self._left = await self._info()

    async def _put(self, key: str, value: bytes) -> None:
        answer = wire.decode_puback((await self._bus.call(_SUBJECT + key, value)).data)
        if answer.error is not None:
            raise wire.error_of(answer.error, key)
        self._values[key] = value

    async def take_down(self, keys: set[str]) -> None:
        """Take entries away."""
        for key in keys:
            await self._bus.api(
                f"STREAM.PURGE.{_STREAM}", msgspec.json.encode({"filter": _SUBJECT + key})
            )
            self._values.pop(key, None)
        self._left = await self._info()

    async def _info(self) -> _Info:
        return _info(await self._bus.api(f"STREAM.INFO.{_STREAM}"))

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
    wanted = msgspec.json.encode({"last_by_subj": _SUBJECT + key})
    try:
        return _got(await api(f"STREAM.MSG.GET.{_STREAM}", wanted)).message.data
    except LaneMissing:
        return None
    except BusRefused as error:
        if error.err_code != _NO_MESSAGE:
            raise
        return None
