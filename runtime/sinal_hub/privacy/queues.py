"""Personal data that waits in the broker: accepted events nobody has worked on, and sealed
deliveries in quarantine.

An event taken out of its queue was accepted, so it gets its row first, without the person: the
ledger still adds up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple

import msgspec
import structlog

from sinal_core.nats import stream_reader
from sinal_core.nats.jetstream import StoredMessage
from sinal_crds import names
from sinal_crds.keyring import Keyring, UnknownKey
from sinal_hub.matching.batch import SALE_KEY
from sinal_hub.matching.suppression import SuppressionList, blank_row
from sinal_hub.model.events import Event, Forget, decode_event
from sinal_hub.model.times import moment
from sinal_hub.privacy.data_subject import TooManyPeople, mentions
from sinal_hub.quarantine.keeping import QuarantinedDelivery, TamperedDelivery, join, open_kept
from sinal_hub.quarantine.queue import HeldDelivery, QuarantineBucket
from sinal_hub.status.ports import Bus
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.matching_rows import Delivered, Mark

log = structlog.get_logger(__name__)


class Incoming:
    """A tenant's queue of accepted events."""

    def __init__(self, bus: Bus, matching: MatchStore) -> None:
        self._bus, self._matching = bus, matching

    async def find(
        self, wanted: Forget, marks: list[Mark]
    ) -> AsyncIterator[tuple[StoredMessage, Event | None]]:
        """Messages of this person; without an event where it can't be read. Raises BusError."""
        async for content in stream_reader.scan(self._bus, *stream_reader.incoming(wanted.tenant)):
            try:
                event = decode_event(content.body)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                if _holds(content.body, wanted):
                    yield content, None
                continue
            asked = SuppressionList([event])
            asked.take(marks)
            if asked.erased(event):
                yield content, event

    async def erase(self, wanted: Forget, marks: list[Mark]) -> int:
        """Take this person's messages out; returns how many. Raises BusError, StoreUnavailable."""
        count = 0
        async for content, event in self.find(wanted, marks):
            if event is not None:
                await self._record(event)
            count += await stream_reader.remove(self._bus, names.stream(wanted.tenant), content.seq)
        return count

    async def _record(self, event: Event) -> None:
        known = Delivered(
            id=event.id,
            received_at=moment(event.received_at),
            natural=event.natural_key,
            expires_at=moment(event.received_at) + SALE_KEY,
        )
        async with self._matching.transaction(event.tenant) as transaction:
            # Matching may have handled it meanwhile: then it has its row, and the tables' part
            # finds it.
            if await transaction.new_events([known]):
                await transaction.insert_events([blank_row(event)])


class Searched(NamedTuple):
    """How far an erasure has searched quarantine."""

    deleted: int = 0
    after: str | None = None  # the last delivery that was searched
    finished: bool = False


class QuarantineReader:
    """Deliveries that nobody understood, opened with the platform's keys to be searched."""

    def __init__(self, bus: Bus, keyring: Keyring) -> None:
        self._bucket, self._keyring = QuarantineBucket(bus), keyring

    async def find(
        self, wanted: Forget, *, country: str
    ) -> list[tuple[QuarantinedDelivery, bytes]]:
        """Deliveries that hold this person, and their clear bodies; raises BusError."""
        found = []
        for blob_id, held in await self._ids(wanted.tenant):
            opened = await self._open(wanted.tenant, blob_id, held)
            if (
                opened is not None
                and await self._search(opened[1], wanted, country=country) == "held"
            ):
                found.append(opened)
        return found

    async def erase(
        self, wanted: Forget, done: Searched, *, country: str, until: float
    ) -> Searched:
        """Go on after what is done and delete those deliveries, until all are searched or the
        (monotonic) time is up.

        A body that holds more people than can be compared goes too: it may hold this one. Raises
        BusError.
        """
        count, after = done.deleted, done.after
        for blob_id, held in await self._ids(wanted.tenant):
            if after is not None and blob_id <= after:
                continue
            if time.monotonic() >= until:
                return Searched(deleted=count, after=after, finished=False)
            opened = await self._open(wanted.tenant, blob_id, held)
            if (
                opened is not None
                and await self._search(opened[1], wanted, country=country) != "absent"
            ):
                await self._bucket.remove(wanted.tenant, blob_id)
                count += 1
            after = blob_id
        return Searched(deleted=count, after=after, finished=True)

    async def _ids(self, tenant: str) -> list[tuple[str, HeldDelivery]]:
        """Oldest first: ids begin with their time."""
        held = await self._bucket.held(tenant)
        return sorted(
            ((blob_id, one) for (_, blob_id), one in held.items()), key=lambda pair: pair[0]
        )

    async def _open(
        self, tenant: str, blob_id: str, held: HeldDelivery
    ) -> tuple[QuarantinedDelivery, bytes] | None:
        """A delivery and its clear body; None where there is none (any more) that can be opened."""
        head = await self._bucket.head(tenant, blob_id)
        body = await self._bucket.body(tenant, blob_id, held)
        if head is None or body is None:
            return None
        try:
            kept = join(head, body)
            # Beyond a tenant's share only a digest of a delivery is kept: nobody is in it.
            if kept.tenant != tenant or kept.digest is not None:
                return None
            return kept, open_kept(kept, self._keyring)
        except (TamperedDelivery, UnknownKey) as error:
            log.warning("privacy.quarantine_unreadable", tenant=tenant, error=type(error).__name__)
            return None

    async def _search(
        self, raw: bytes, wanted: Forget, *, country: str
    ) -> Literal["held", "absent", "unknown"]:
        try:
            return (
                "held"
                # In a thread: a large body takes a while, and the loop has leases to renew
                # meanwhile.
                if await asyncio.to_thread(mentions, raw, wanted, country=country)
                else "absent"
            )
        except TooManyPeople:
            return "unknown"


def _holds(body: bytes, wanted: Forget) -> bool:
    return any(value.encode() in body for value in (*wanted.emails, *wanted.phones, *wanted.orders))


def shown(kept: QuarantinedDelivery, raw: bytes) -> dict[str, Any]:
    """A quarantined delivery as its person may see it."""
    return {
        "id": kept.id,
        "gateway": kept.gateway,
        "received_at": moment(kept.received_at),
        "body": raw.decode("utf-8", "replace"),
    }
