"""How much waits where: pending, in flight and stranded by tenant and consumer.

One paged STREAM.LIST says which tenants have anything at all; only those are asked for their
consumers. An idle platform of a thousand tenants costs four requests, whatever the number of
consumers.

A message can be in a stream and in no consumer's count: its deliveries ran into a limit, or its
consumer is gone. It is missed in the sum, and then the stream is asked what it holds by subject. A
queue that is retained for a tenant to come is nobody's work, and is left out.

The age of the oldest message comes with the listing where one lane has all that is in the stream;
only where several lanes have work is each asked for its first message.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from sinal_core.nats.jetstream import JetStream, StreamInfo
from sinal_crds import names

PARALLEL = 32


class Depth(msgspec.Struct, frozen=True):
    """One lane's queue: `pending` not yet delivered, `in_flight` delivered and not acked,
    `stranded` in neither.
    """

    tenant: str
    consumer: str
    pending: int
    in_flight: int
    # when its oldest message was stored; None without one, or when not asked for
    oldest_at: datetime | None = None
    stranded: int = 0

    @property
    def role(self) -> str:
        """The role that empties it: match or dispatch."""
        return "match" if self.consumer == names.MATCH_CONSUMER else "dispatch"

    @property
    def messages(self) -> int:
        """All that is not done."""
        return self.pending + self.in_flight + self.stranded

    @property
    def subject(self) -> str:
        """What the lane takes out of its tenant's stream."""
        if self.consumer == names.MATCH_CONSUMER:
            return names.in_filter(self.tenant)
        return names.out_subject(self.tenant, self.consumer.removeprefix(names.DISPATCH_PREFIX))


class Survey(msgspec.Struct, frozen=True):
    """Every tenant that there is, and the depth of each lane that has work.

    A lane not listed is empty.
    """

    # when each tenant's stream was made: what was published before is not in it
    births: Mapping[str, datetime]
    depths: Sequence[Depth]

    @property
    def tenants(self) -> frozenset[str]:
        """By their names."""
        return frozenset(self.births)


def tenant_of(stream: StreamInfo) -> str | None:
    """Whose queue it is; None where it is not a living tenant's."""
    try:
        slug = names.slug_of_stream(stream.name)
    except ValueError:
        return None
    return None if stream.metadata.get(names.OWNER, "").startswith(names.RETAINED) else slug


async def _complete(
    jetstream: JetStream, stream: StreamInfo, depths: list[Depth], tenant: str
) -> list[Depth]:
    """The lanes with what no consumer counts; lanes without a consumer too."""
    if sum(depth.messages for depth in depths) >= stream.state.messages:
        return depths
    held = await jetstream.subjects(stream.name, ">")
    lanes: Counter[str] = Counter()
    for subject, messages in held.items():
        if (consumer := _consumer_of(subject, tenant)) is not None:
            lanes[consumer] += messages
    known = {depth.consumer for depth in depths}
    found = [*depths, *(Depth(tenant, consumer, 0, 0) for consumer in sorted(lanes.keys() - known))]
    return [
        # of two moments: what was acked between them would make it negative
        msgspec.structs.replace(depth, stranded=max(0, lanes[depth.consumer] - depth.messages))
        for depth in found
    ]


def _consumer_of(subject: str, tenant: str) -> str | None:
    """Which consumer the subject is meant for."""
    if subject.startswith(names.in_subject(tenant, "")):
        return names.MATCH_CONSUMER
    out = names.out_subject(tenant, "")
    return names.dispatch_consumer(subject.removeprefix(out)) if subject.startswith(out) else None


async def _dated(jetstream: JetStream, stream: StreamInfo, depth: Depth, *, alone: bool) -> Depth:
    """The lane with the time of its oldest message."""
    if not depth.messages or (alone and stream.state.first_ts is None):
        return depth
    if alone:
        return msgspec.structs.replace(depth, oldest_at=stream.state.first_ts)
    oldest = await jetstream.next_message(stream.name, depth.subject)
    if oldest is None:  # the last one was acked between the two requests
        return depth
    return msgspec.structs.replace(depth, oldest_at=oldest.time)


async def survey(jetstream: JetStream, *, ages: bool = False) -> Survey:
    """All tenants, and every lane with work, with the time of its oldest message if asked.

    Raises BusError.
    """
    # JetStream answers API calls of all clients out of one queue, and drops all of it when it
    # overflows.
    gate = asyncio.Semaphore(PARALLEL)

    async def one(tenant: str, stream: StreamInfo) -> list[Depth]:
        async with gate:
            consumers = (await jetstream.consumers(stream.name)).values()
            counted = [Depth(tenant, c.name, c.num_pending, c.num_ack_pending) for c in consumers]
            found = await _complete(jetstream, stream, counted, tenant)
            if not ages:
                return found
            alone = sum(depth.messages > 0 for depth in found) == 1
            return [await _dated(jetstream, stream, depth, alone=alone) for depth in found]

    living = {
        tenant: stream
        for stream in (await jetstream.streams()).values()
        if (tenant := tenant_of(stream)) is not None
    }
    found = await asyncio.gather(
        *(one(tenant, stream) for tenant, stream in living.items() if stream.state.messages)
    )
    births = {tenant: stream.created_at for tenant, stream in living.items()}
    return Survey(births, [depth for depths in found for depth in depths])
