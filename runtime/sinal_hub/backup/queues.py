"""What JetStream holds that nothing else does: accepted events nobody has worked on, plans,
quarantined deliveries.

Messages are read one by one and published again, with the ids they had: no format of a server's
version is in a backup. Deliveries to destinations are left out, because their rows are in
PostgreSQL: a queue that is younger than they are is filled from there (`status.lost_messages`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sinal_core.nats import Bus, Outgoing
from sinal_core.nats.client import MSG_ID, Published
from sinal_core.nats.jetstream import JetStream
from sinal_crds import names

# Read before PostgreSQL: a departure stays until the data that it names are gone, and must not
# outlive its backup.
BUCKETS = (names.QUARANTINE_BUCKET, names.PLANS_BUCKET, names.DEPARTURES_BUCKET)
MADE_ANEW = frozenset({names.STATUS_BUCKET})  # what statuses tell is looked up again within seconds
BATCH = 500
STORE_S = 30.0
LEFT_OVER = timedelta(hours=6)


class QueuedMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message: where it lies, its body, and the id by which the broker knows a repeat."""

    subject: str
    body: str  # base64
    id: str = ""


class Described(msgspec.Struct, frozen=True):
    """A stream as its configuration says."""

    config: dict[str, Any]


class QueuesNotEmpty(Exception):
    """Something is there already; the message names it."""


_kept = msgspec.json.Decoder(QueuedMessage).decode


async def queues(bus: Bus) -> list[str]:
    """Streams of all tenants, also of those that are gone and whose queue is retained."""
    found = await JetStream(bus.api).streams()
    return sorted(name for name in found if name.startswith(names.STREAM_PREFIX))


async def describe(bus: Bus, stream: str) -> Described | None:
    """A stream's configuration; None where it is not there."""
    info = await JetStream(bus.api).stream(stream)
    return None if info is None else Described(info.config)


async def messages(bus: Bus, stream: str, subject: str) -> AsyncIterator[QueuedMessage]:
    """All messages on a subject that are there now, oldest first."""
    info = await JetStream(bus.api).stream(stream)
    if info is None or not info.state.messages:
        return
    async for found in JetStream(bus.api).scan(stream, subject):
        # What has come since the beginning is not waited for: a busy stream would never end.
        if found.seq > info.state.last_seq:
            return
        headers = found.headers
        if headers.get("KV-Operation") is None:  # else a mark that a key was removed
            yield QueuedMessage(
                found.subject, b64encode(found.body).decode(), headers.get(MSG_ID, "")
            )


async def require_empty(bus: Bus) -> None:
    """Return if no tenant's queue and no quarantine holds anything; raises NotEmpty.

    Plans may be there already.
    """
    for stream in [*await queues(bus), f"KV_{names.QUARANTINE_BUCKET}"]:
        info = await JetStream(bus.api).stream(stream)
        if info is not None and info.state.messages:
            raise QueuesNotEmpty(f"the stream {stream} holds {info.state.messages} messages")


async def clear(bus: Bus) -> None:
    """Remove all tenants' queues and what is in the buckets."""
    jetstream = JetStream(bus.api)
    for stream in await queues(bus):
        await jetstream.delete_stream(stream)
    for bucket in BUCKETS:
        if await jetstream.stream(f"KV_{bucket}") is not None:
            await jetstream.purge(f"KV_{bucket}")


async def remove_left_over(bus: Bus, prefix: str) -> None:
    """Remove streams of that prefix that are older than any use of them: whoever made them was
    killed.
    """
    old = datetime.now(UTC) - LEFT_OVER
    jetstream = JetStream(bus.api)
    for name, stream in (await jetstream.streams()).items():
        if name.startswith(prefix) and stream.created_at < old:
            await jetstream.delete_stream(name)


async def prepare(bus: Bus, described: Described, *, replicas: int) -> None:
    """Make a stream where it is not there.

    A tenant's belongs to whoever has its name now, with whatever UID.
    """
    # NATS here may have another number of servers than where the backup was made.
    config = {**described.config, "num_replicas": replicas}
    jetstream = JetStream(bus.api)
    if await jetstream.stream(config["name"]) is None:
        # The server adds keys of this prefix by itself: its version, and what level of the API it
        # needs.
        metadata = {
            k: v for k, v in (config.get("metadata") or {}).items() if not k.startswith("_nats.")
        }
        await jetstream.create_stream({**config, "metadata": metadata})


def handed_over(described: Described, tenant: str) -> Described:
    """The same stream, owned by whichever Tenant has this name in its namespace when it comes."""
    metadata = described.config.get("metadata") or {}
    owner = f"{names.RETAINED}{metadata.get(names.NAMESPACE, 'default')}/{tenant}"
    return Described({**described.config, "metadata": {**metadata, names.OWNER: owner}})


async def publish(bus: Bus, lines: Iterator[bytes], *, prefix: str = "") -> int:
    """Store kept messages in their sequence; returns how many.

    Raises BusError. `prefix` is set before each subject.
    """
    stored, batch = 0, list[Outgoing]()
    for line in lines:
        kept = _kept(line)
        batch.append(
            Outgoing(
                prefix + kept.subject,
                b64decode(kept.body),
                # Each publish needs an id: a message that had none gets one of its place in the
                # backup.
                kept.id or f"restored-{stored}-{len(batch)}",
            )
        )
        if len(batch) == BATCH:
            stored += await _store(bus, batch)
            batch = []
    return stored + await _store(bus, batch)


async def _store(bus: Bus, batch: Sequence[Outgoing]) -> int:
    for answer in await bus.publish_many(batch, timeout_s=STORE_S):
        if not isinstance(answer, Published):
            raise answer
    return len(batch)


async def put(bus: Bus, bucket: str, lines: Iterator[bytes]) -> int:
    """Set kept keys of a bucket; returns how many."""
    count = 0
    for line in lines:
        kept = _kept(line)
        await bus.put(bucket, kept.subject.removeprefix(f"$KV.{bucket}."), b64decode(kept.body))
        count += 1
    return count
