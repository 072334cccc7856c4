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

from sinal_core.nats import Bus, Outgoing, stream_reader, streams
from sinal_core.nats.client import MSG_ID, Published
from sinal_core.nats.errors import BusRefused, LaneMissing
from sinal_crds import names

# Read before PostgreSQL: a departure stays until the data that it names are gone, and must not
# outlive its backup.
BUCKETS = (names.QUARANTINE_BUCKET, names.PLANS_BUCKET, names.DEPARTURES_BUCKET)
MADE_ANEW = frozenset({names.STATUS_BUCKET})  # what statuses tell is looked up again within seconds
_ABSENT = frozenset({10037, 10059})
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


class _State(msgspec.Struct, frozen=True):
    messages: int = 0
    last_seq: int = 0


class _Info(msgspec.Struct, frozen=True):
    config: dict[str, Any]
    state: _State


class QueuesNotEmpty(Exception):
    """Something is there already; the message names it."""


_info = msgspec.json.Decoder(_Info).decode
_kept = msgspec.json.Decoder(QueuedMessage).decode


async def queues(bus: Bus) -> list[str]:
    """Streams of all tenants, also of those that are gone and whose queue is retained."""
    found = [stream.config.name for stream in await streams.listed(bus.api)]
    return sorted(name for name in found if name.startswith(names.STREAM_PREFIX))


async def describe(bus: Bus, stream: str) -> Described | None:
    """A stream's configuration; None where it is not there."""
    info = await _look(bus, stream)
    return None if info is None else Described(info.config)


async def messages(bus: Bus, stream: str, subject: str) -> AsyncIterator[QueuedMessage]:
    """All messages on a subject that are there now, oldest first."""
    info = await _look(bus, stream)
    if info is None or not info.state.messages:
        return
    async for found in stream_reader.scan(bus, stream, subject):
        if found.seq > info.state.last_seq:
            return
        if found.headers.get("KV-Operation") is None:  # else a mark that a key was removed
            yield QueuedMessage(
                found.subject, b64encode(found.body).decode(), found.headers.get(MSG_ID, "")
            )


async def require_empty(bus: Bus) -> None:
    """Return if no tenant's queue and no quarantine holds anything; raises NotEmpty.

    Plans may be there already.
    """
    for stream in [*await queues(bus), f"KV_{names.QUARANTINE_BUCKET}"]:
        info = await _look(bus, stream)
        if info is not None and info.state.messages:
            raise QueuesNotEmpty(f"the stream {stream} holds {info.state.messages} messages")


async def clear(bus: Bus) -> None:
    """Remove all tenants' queues and what is in the buckets."""
    for stream in await queues(bus):
        await bus.api(f"STREAM.DELETE.{stream}")
    for bucket in BUCKETS:
        if await _look(bus, f"KV_{bucket}") is not None:
            await bus.api(f"STREAM.PURGE.KV_{bucket}")


async def remove_left_over(bus: Bus, prefix: str) -> None:
    """Remove streams of that prefix that are older than any use of them: whoever made them was
    killed.
    """
    old = datetime.now(UTC) - LEFT_OVER
    for stream in await streams.listed(bus.api):
        if stream.config.name.startswith(prefix) and stream.created < old:
            await bus.api(f"STREAM.DELETE.{stream.config.name}")


async def prepare(bus: Bus, described: Described, *, replicas: int) -> None:
    """Make a stream where it is not there.

    A tenant's belongs to whoever has its name now, with whatever UID.
    """
    config = {**described.config, "num_replicas": replicas}
    if await _look(bus, config["name"]) is None:
        metadata = {
            k: v for k, v in (config.get("metadata") or {}).items() if not k.startswith("_nats.")
        }
        await bus.api(
            f"STREAM.CREATE.{config['name']}", msgspec.json.encode({**config, "metadata": metadata})
        )


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


async def _look(bus: Bus, stream: str) -> _Info | None:
    try:
        return _info(await bus.api(f"STREAM.INFO.{stream}"))
    except LaneMissing:
        return None
    except BusRefused as error:
        if error.err_code in _ABSENT:
            return None
        raise
