"""How much waits where: pending and in flight by tenant and consumer.

One paged STREAM.LIST says which tenants have anything at all; only those are asked for their consumers. An idle
platform of a thousand tenants costs four requests, whatever the number of consumers.

The age of the oldest message comes with the listing where one lane has all that is in the stream; only where several
lanes have work is each asked for its first message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from sinal_crds import names
from sinal_runtime.bus.errors import BusRefused, LaneMissing

Api = Callable[[str, bytes], Awaitable[bytes]]
PARALLEL = 32


class Depth(msgspec.Struct, frozen=True):
    """One lane's queue: `pending` not yet delivered, `in_flight` delivered and not acked."""

    tenant: str
    consumer: str
    pending: int
    in_flight: int
    oldest_at: datetime | None = None  # when its oldest message was stored; None without one, or when not asked for

    @property
    def role(self) -> str:
        """The role that empties it: match or dispatch."""
        return "match" if self.consumer == names.MATCH_CONSUMER else "dispatch"

    @property
    def messages(self) -> int:
        """All that is not done."""
        return self.pending + self.in_flight

    @property
    def subject(self) -> str:
        """What the lane takes out of its tenant's stream."""
        if self.consumer == names.MATCH_CONSUMER:
            return names.in_filter(self.tenant)
        return names.out_subject(self.tenant, self.consumer.removeprefix(names.DISPATCH_PREFIX))


class _Named(msgspec.Struct, frozen=True):
    name: str


class _State(msgspec.Struct, frozen=True):
    messages: int = 0
    first_ts: datetime | None = None


class _Stream(msgspec.Struct, frozen=True):
    config: _Named
    state: _State


class _StreamPage(msgspec.Struct, frozen=True):
    total: int
    streams: list[_Stream] | None = None


class _Consumer(msgspec.Struct, frozen=True):
    name: str
    num_pending: int = 0
    num_ack_pending: int = 0


class _ConsumerPage(msgspec.Struct, frozen=True):
    total: int
    consumers: list[_Consumer] | None = None


class _Stored(msgspec.Struct, frozen=True):
    time: datetime


class _Got(msgspec.Struct, frozen=True):
    message: _Stored


_stream_page = msgspec.json.Decoder(_StreamPage).decode
_consumer_page = msgspec.json.Decoder(_ConsumerPage).decode
_got = msgspec.json.Decoder(_Got).decode


def _is_tenants(stream: str) -> bool:
    try:
        names.slug_of_stream(stream)
    except ValueError:
        return False
    return True


async def _busy_tenants(api: Api) -> list[_Stream]:
    found: list[_Stream] = []
    offset = 0
    while True:
        page = _stream_page(await api("STREAM.LIST", b'{"offset":%d}' % offset))
        streams = page.streams or []
        found.extend(s for s in streams if s.state.messages and _is_tenants(s.config.name))
        offset += len(streams)
        if not streams or offset >= page.total:
            return found


async def _consumers(api: Api, stream: str) -> list[_Consumer]:
    found: list[_Consumer] = []
    while True:
        page = _consumer_page(await api(f"CONSUMER.LIST.{stream}", b'{"offset":%d}' % len(found)))
        found.extend(page.consumers or [])
        if not page.consumers or len(found) >= page.total:
            return found


async def _dated(api: Api, stream: _Stream, depth: Depth, *, alone: bool) -> Depth:
    """The lane with the time of its oldest message."""
    if not depth.messages or (alone and stream.state.first_ts is None):
        return depth
    if alone:
        return msgspec.structs.replace(depth, oldest_at=stream.state.first_ts)
    wanted = msgspec.json.encode({"next_by_subj": depth.subject})
    try:
        got = _got(await api(f"STREAM.MSG.GET.{stream.config.name}", wanted))
    except (LaneMissing, BusRefused):  # the last one was acked between the two requests
        return depth
    return msgspec.structs.replace(depth, oldest_at=got.message.time)


async def read_depths(api: Api, *, ages: bool = False) -> list[Depth]:
    """Depths of every lane with work, with the time of its oldest message if asked; a lane not listed is empty."""
    gate = asyncio.Semaphore(PARALLEL)

    async def one(stream: _Stream) -> list[Depth]:
        tenant = names.slug_of_stream(stream.config.name)
        async with gate:
            try:
                consumers = await _consumers(api, stream.config.name)
            except LaneMissing:  # removed between the two requests
                return []
            found = [Depth(tenant, c.name, c.num_pending, c.num_ack_pending) for c in consumers]
            if not ages:
                return found
            alone = sum(depth.messages > 0 for depth in found) == 1
            return [await _dated(api, stream, depth, alone=alone) for depth in found]

    listed = await asyncio.gather(*map(one, await _busy_tenants(api)))
    return [depth for depths in listed for depth in depths]
