"""The one way from the edge to the broker: an event is accepted when it went through here and the broker acked it.

Everything that can go wrong on the way is a Problem that tells the sender when to come again. In-flight publishes are
bounded: behind a slow broker the edge refuses early instead of piling up memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from sinal_crds import names
from sinal_runtime.bus.errors import BusError, LaneFull, LaneMissing, MessageTooLarge
from sinal_runtime.events import Event, encode
from sinal_runtime.ingest.ports import Bus
from sinal_runtime.ingest.problem import Problem, retry

ACK_TIMEOUT_S = 5.0
MAX_IN_FLIGHT = 10_000  # events waiting for an ack, per process


class EventTooLarge(Exception):
    """One event is larger than the broker takes."""


class Outlet:
    """Publishes events and waits for the acks."""

    def __init__(self, *, bus: Bus, timeout_s: float = ACK_TIMEOUT_S, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._bus = bus
        self._timeout_s = timeout_s
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def put(self, events: Sequence[Event]) -> list[bool]:
        """Store all events; for each whether the broker had it already.

        Raises Problem 429 or 503 when any of them was not stored (others may have been), EventTooLarge.
        """
        if self._in_flight + len(events) > self._max_in_flight and self._in_flight:
            raise retry(503, "Too many events wait for the broker.", 1)
        self._in_flight += len(events)
        try:
            if len(events) == 1:
                return [await self._one(events[0])]
            results = await asyncio.gather(*map(self._one, events), return_exceptions=True)
        finally:
            self._in_flight -= len(events)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result is True for result in results]

    async def _one(self, event: Event) -> bool:
        subject = names.in_subject(event.tenant, event.kind)
        try:
            ack = await self._bus.publish(subject, encode_safe(event), msg_id=event.key, timeout_s=self._timeout_s)
        except BusError as error:
            raise self._refusal(error, event.tenant) from error
        return ack.duplicate

    def _refusal(self, error: BusError, tenant: str) -> Exception:
        if isinstance(error, MessageTooLarge):
            return EventTooLarge()
        if isinstance(error, LaneFull):
            return retry(429, "The tenant's queue is full: raise its limit, or wait until it is worked off.", 30)
        if isinstance(error, LaneMissing):
            self._bus.request_provision(tenant)
            return retry(503, "The tenant's queue is being set up.", 5)
        return retry(503, "The broker did not confirm the event. Send it again: an event_id makes that safe.", 2)


def encode_safe(event: Event) -> bytes:
    """The event as JSON without NUL characters, which PostgreSQL's text does not take."""
    body = encode(event)
    if b"\\u0000" not in body:
        return body
    return msgspec.json.encode(_without_nul(msgspec.json.decode(body)))


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nul(item) for key, item in value.items()}
    return value


def too_large() -> Problem:
    """What a sender hears whose event the broker would not take."""
    return Problem(413, "One event is larger than the broker takes.")
