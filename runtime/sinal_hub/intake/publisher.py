"""The one way from the edge to the broker: an event is accepted when the broker acked it, or the
spool has it on disk.

Everything that can go wrong on the way is a Problem that tells the sender when to come again.
In-flight publishes are bounded: behind a slow broker the edge spools, or refuses early, instead of
piling up memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from sinal_core.http.problem import Problem, retry
from sinal_core.nats.client import Outgoing
from sinal_core.nats.errors import BusError, BusUnavailable, LaneFull, LaneMissing, MessageTooLarge
from sinal_crds import names
from sinal_hub.intake.ports import Beginner, Bus, Detour, Published
from sinal_hub.model.event_versions import NEWEST, encode_event
from sinal_hub.model.events import Event
from sinal_hub.spool import SpoolEntry, SpoolError

ACK_TIMEOUT_S = 5.0
# an event whose ack is not there by then goes to the disk, with the same message id
SPOOL_AFTER_S = 2.0
MAX_IN_FLIGHT = 10_000  # events waiting for an ack, per process
# the broker's default limit of a message, less room for its headers
MAX_SPOOLED = 1024 * 1024 - 4_096


class EventTooLarge(Exception):
    """One event is larger than the broker takes."""


class EventPublisher:
    """Publishes events and waits for the acks.

    With a detour it spools what the broker does not take now.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        detour: Detour | None = None,
        beginner: Beginner | None = None,
        timeout_s: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        event_version: int = NEWEST,
    ) -> None:
        """`event_version` is the newest that is written, see `model/event_versions.py`."""
        self._bus = bus
        self._detour = detour
        self._beginner = beginner
        self._timeout_s = timeout_s or (SPOOL_AFTER_S if detour else ACK_TIMEOUT_S)
        self._max_in_flight = max_in_flight
        self._event_version = event_version
        self._in_flight = 0

    async def put(self, events: Sequence[Event]) -> list[bool]:
        """Store all events of one tenant.

        For each whether the broker had it already (a spooled one: not yet known).

        Raises Problem 429 or 503 when any of them was not stored (others may have been),
        EventTooLarge.
        """
        bodies = [encode_safe(event, self._event_version) for event in events]
        if self._detour is not None and events and await self._must_spool(self._detour, events):
            await self._spool(events, bodies)
            return [False] * len(events)
        if self._is_crowded(len(events)):
            raise retry(503, "Too many events wait for the broker.", 1)
        self._in_flight += len(events)
        try:
            results = await self._publish(events, bodies)
        finally:
            self._in_flight -= len(events)
        return await self._settle(events, bodies, results)

    @property
    def is_direct(self) -> bool:
        """Whether `begin` has a chance now."""
        return self._beginner is not None and self._bus.connected

    def begin(self, event: Event, done: Callable[[Published | BusError], None]) -> bool:
        """Send one event on its way and call `done` with how that ended.

        False where it takes `put`, unsent.

        An error that `done` gets is for `rescue`.
        """
        if (
            self._beginner is None
            or self._is_crowded(1)
            or (self._detour is not None and self._detour.is_due(event.tenant))
        ):
            return False

        def ended(result: Published | BusError) -> None:
            self._in_flight -= 1
            self._tell_detour(result)
            done(result)

        self._in_flight += 1
        sent = False
        try:
            sent = self._beginner.begin(
                names.in_subject(event.tenant, event.kind),
                encode_safe(event, self._event_version),
                msg_id=event.key,
                timeout_s=self._timeout_s,
                done=ended,
            )
        except BusError:  # `put` finds it again, and says what it means
            return False
        finally:
            if not sent:
                self._in_flight -= 1
        return sent

    async def rescue(self, event: Event, error: BusError) -> list[bool]:
        """What becomes of an event that `begin` ended with an error for: it is spooled, as by
        `put`.

        Raises as `put`.
        """
        body = encode_safe(event, self._event_version)
        return await self._settle([event], [body], [error])

    def _tell_detour(self, result: Published | BusError) -> None:
        if self._detour is not None:
            (
                self._detour.failed
                if isinstance(result, BusUnavailable)
                else self._detour.succeeded
            )()

    def _is_crowded(self, more: int) -> bool:
        # alone, a batch above the bound goes through: it never could otherwise
        return self._in_flight + more > self._max_in_flight and self._in_flight > 0

    async def _must_spool(self, detour: Detour, events: Sequence[Event]) -> bool:
        tenant = events[0].tenant
        if self._is_crowded(len(events)):
            return True
        return detour.is_due(tenant) and not await detour.clears(tenant)

    async def _publish(
        self, events: Sequence[Event], bodies: Sequence[bytes]
    ) -> Sequence[Published | BusError]:
        if len(events) == 1:
            (event,), (body,) = events, bodies
            subject = names.in_subject(event.tenant, event.kind)
            try:
                results: list[Published | BusError] = [
                    await self._bus.publish(
                        subject, body, msg_id=event.key, timeout_s=self._timeout_s
                    )
                ]
            except BusError as error:
                results = [error]
        else:
            messages = [
                Outgoing(names.in_subject(event.tenant, event.kind), body, event.key)
                for event, body in zip(events, bodies, strict=True)
            ]
            results = list(await self._bus.publish_many(messages, timeout_s=self._timeout_s))
        for result in results:
            self._tell_detour(result)
        return results

    async def _settle(
        self,
        events: Sequence[Event],
        bodies: Sequence[bytes],
        results: Sequence[Published | BusError],
    ) -> list[bool]:
        """What became of published events: spools those that the broker did not confirm.

        Raises as `put`.
        """
        failed = [(at, error) for at, error in enumerate(results) if isinstance(error, BusError)]
        # These two pass, and the disk bridges the time until then. Of a full queue and of an event
        # that is too large the sender has to hear.
        late = [at for at, error in failed if isinstance(error, BusUnavailable | LaneMissing)]
        for at, error in failed:
            if isinstance(error, LaneMissing):
                self._bus.request_provision(events[at].tenant)
            if self._detour is None or at not in late:
                raise self._refusal(error) from error
        if late:
            await self._spool([events[at] for at in late], [bodies[at] for at in late])
        return [not isinstance(result, BusError) and result.duplicate for result in results]

    async def _spool(self, events: Sequence[Event], bodies: Sequence[bytes]) -> None:
        assert self._detour is not None  # noqa: S101 - for the type checker; the callers asked
        # the broker, which would refuse it, is not there to be asked; accepted, it would block all
        # behind it
        if any(len(body) > MAX_SPOOLED for body in bodies):
            raise EventTooLarge
        entries = [
            SpoolEntry(
                event.tenant,
                names.in_subject(event.tenant, event.kind),
                event.key,
                event.received_at,
                body,
            )
            for event, body in zip(events, bodies, strict=True)
        ]
        try:
            await self._detour.take(entries)
        except LaneFull as error:
            raise self._refusal(error) from error
        except SpoolError as error:
            raise retry(
                503, "Neither the broker nor the spool can take the event now. Send it again.", 10
            ) from error

    @staticmethod
    def _refusal(error: BusError) -> Exception:
        if isinstance(error, MessageTooLarge):
            return EventTooLarge()
        if isinstance(error, LaneFull):
            return retry(
                429,
                "The tenant's queue is full: raise its limit, or wait until it is worked off.",
                30,
            )
        if isinstance(error, LaneMissing):
            return retry(503, "The tenant's queue is being set up.", 5)
        return retry(
            503,
            "The broker did not confirm the event. Send it again: an event_id makes that safe.",
            2,
        )


def encode_safe(event: Event, at_most: int = NEWEST) -> bytes:
    """The event as JSON without NUL characters, which PostgreSQL's text does not take."""
    body = encode_event(event, at_most)
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
