"""Personal data that waits in the broker: accepted events nobody has worked on, and sealed deliveries in quarantine.

An event taken out of its queue was accepted, so it gets its row first, without the person: the ledger still adds up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog

from sinal_crds import names
from sinal_crds.keyring import Keyring, UnknownKey
from sinal_runtime.bus import contents
from sinal_runtime.bus.contents import Content
from sinal_runtime.bus.quarantine import QuarantineBucket
from sinal_runtime.events import Event, Forget, decode_event
from sinal_runtime.housekeeping.people import mentions
from sinal_runtime.housekeeping.ports import Bus
from sinal_runtime.ingest.quarantine import Kept, TamperedDelivery, open_kept
from sinal_runtime.matching.batch import SALE_KEY
from sinal_runtime.matching.marks import Marks, blank_row
from sinal_runtime.matching.visits import moment
from sinal_runtime.store.matching import MatchStore
from sinal_runtime.store.rows import Delivered, Mark

log = structlog.get_logger(__name__)


class Incoming:
    """A tenant's queue of accepted events."""

    def __init__(self, bus: Bus, matching: MatchStore) -> None:
        self._bus, self._matching = bus, matching

    async def find(self, wanted: Forget, marks: list[Mark]) -> AsyncIterator[tuple[Content, Event | None]]:
        """Messages of this person; without an event where it can't be read. Raises BusError."""
        async for content in contents.scan(self._bus, *contents.incoming(wanted.tenant)):
            try:
                event = decode_event(content.body)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                if _holds(content.body, wanted):
                    yield content, None
                continue
            asked = Marks([event])
            asked.take(marks)
            if asked.erased(event):
                yield content, event

    async def erase(self, wanted: Forget, marks: list[Mark]) -> int:
        """Take this person's messages out; returns how many. Raises BusError, StoreUnavailable."""
        count = 0
        async for content, event in self.find(wanted, marks):
            if event is not None:
                await self._record(event)
            count += await contents.remove(self._bus, names.stream(wanted.tenant), content.seq)
        return count

    async def _record(self, event: Event) -> None:
        known = Delivered(
            id=event.id,
            received_at=moment(event.received_at),
            natural=event.natural_key,
            expires_at=moment(event.received_at) + SALE_KEY,
        )
        async with self._matching.transaction(event.tenant) as transaction:
            if await transaction.new_events([known]):
                await transaction.insert_events([blank_row(event)])


class Quarantine:
    """Deliveries that nobody understood, opened with the platform's keys to be searched."""

    def __init__(self, bus: Bus, keyring: Keyring) -> None:
        self._bucket, self._keyring = QuarantineBucket(bus), keyring

    async def find(self, wanted: Forget, *, country: str) -> list[tuple[Kept, bytes]]:
        """Deliveries that hold this person, and their clear bodies; raises BusError."""
        found = []
        for (_, blob_id), parts in (await self._bucket.held(wanted.tenant)).items():
            blob = await self._bucket.get(wanted.tenant, blob_id, parts)
            if blob is None:
                continue
            try:
                kept, raw = open_kept(blob, self._keyring)
            except (TamperedDelivery, UnknownKey) as error:
                log.warning("privacy.quarantine_unreadable", tenant=wanted.tenant, error=type(error).__name__)
                continue
            if kept.tenant == wanted.tenant and await asyncio.to_thread(mentions, raw, wanted, country=country):
                found.append((kept, raw))
        return found

    async def erase(self, wanted: Forget, *, country: str) -> int:
        """Delete those deliveries; returns how many. Raises BusError."""
        found = await self.find(wanted, country=country)
        for kept, _ in found:
            await self._bucket.remove(wanted.tenant, kept.id)
        return len(found)


def _holds(body: bytes, wanted: Forget) -> bool:
    return any(value.encode() in body for value in (*wanted.emails, *wanted.phones, *wanted.orders))


def shown(kept: Kept, raw: bytes) -> dict[str, Any]:
    """A quarantined delivery as its person may see it."""
    return {
        "id": kept.id,
        "gateway": kept.gateway,
        "received_at": moment(kept.received_at),
        "body": raw.decode("utf-8", "replace"),
    }
