"""How much waits where: pending and in flight by tenant and consumer.

One paged STREAM.LIST says which tenants have anything at all; only those are asked for their consumers. An idle
platform of a thousand tenants costs four requests, whatever the number of consumers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from sinal_crds import names
from sinal_runtime.bus.errors import LaneMissing

Api = Callable[[str, bytes], Awaitable[bytes]]
PARALLEL = 32


class Depth(msgspec.Struct, frozen=True):
    """One lane's queue: `pending` not yet delivered, `in_flight` delivered and not acked."""

    tenant: str
    consumer: str
    pending: int
    in_flight: int

    @property
    def role(self) -> str:
        """The role that empties it: match or dispatch."""
        return "match" if self.consumer == names.MATCH_CONSUMER else "dispatch"


class _Named(msgspec.Struct, frozen=True):
    name: str


class _State(msgspec.Struct, frozen=True):
    messages: int = 0
    consumer_count: int = 0


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


_stream_page = msgspec.json.Decoder(_StreamPage).decode
_consumer_page = msgspec.json.Decoder(_ConsumerPage).decode


def _is_tenants(stream: str) -> bool:
    try:
        names.slug_of_stream(stream)
    except ValueError:
        return False
    return True


async def _busy_tenants(api: Api) -> list[str]:
    found: list[str] = []
    offset = 0
    while True:
        page = _stream_page(await api("STREAM.LIST", b'{"offset":%d}' % offset))
        streams = page.streams or []
        found.extend(s.config.name for s in streams if s.state.messages and _is_tenants(s.config.name))
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


async def read_depths(api: Api) -> list[Depth]:
    """Depths of every lane with work; a lane that is not listed is empty."""
    gate = asyncio.Semaphore(PARALLEL)

    async def one(stream: str) -> list[Depth]:
        tenant = names.slug_of_stream(stream)
        async with gate:
            try:
                consumers = await _consumers(api, stream)
            except LaneMissing:  # removed between the two requests
                return []
        return [Depth(tenant, c.name, c.num_pending, c.num_ack_pending) for c in consumers]

    listed = await asyncio.gather(*map(one, await _busy_tenants(api)))
    return [depth for depths in listed for depth in depths]
