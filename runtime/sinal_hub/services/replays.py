"""Replays: choose, judge, do once, tell the bus.

Once means once for each Idempotency-Key: the change, its audit rows and its result are one
transaction, and whoever comes again with the key gets that result. The bus is told after the
commit. Rows of the outbox that it does not take are published by matching's sweeper; dead letters
that it does not take stay open, and the same key finishes them.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from sinal_core.nats.client import Outgoing, Publisher
from sinal_core.nats.errors import BusError
from sinal_crds import names
from sinal_hub.matching import outbox
from sinal_hub.model.event_versions import encode_event
from sinal_hub.model.events import decode_event
from sinal_hub.services.callers import Caller
from sinal_hub.services.cursors import bad_cursor, cursor_of, read_cursor
from sinal_hub.services.errors import Conflict, NotFound, Unavailable
from sinal_hub.services.ports import Events, Plans
from sinal_hub.services.replay_rules import SAMPLE, WHY, Judged, Options, Sample, judge
from sinal_hub.store.audit import AuditEntry
from sinal_hub.store.idempotency import IdempotencyStore, KnownOperation
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.reading import EventDetail, EventFilter
from sinal_hub.store.replaying import Cause, Done, LetterGroup, ReplayStore


class Replayed(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a replay; with `dry_run` what would.

    `operation` is the Idempotency-Key that gives it again.
    """

    operation: str | None
    dry_run: bool
    matched: int
    replayed: int
    skipped: dict[str, int]
    why: dict[str, str]
    sample: list[Sample]
    next_cursor: str | None = None


class Groups(msgspec.Struct, kw_only=True, frozen=True):
    """Open dead letters by cause, the largest groups first.

    `more` when there are groups beyond the limit.
    """

    groups: list[LetterGroup]
    more: bool


class KeyReused(Conflict):
    """The Idempotency-Key belongs to another request."""


class NothingToDo(Conflict):
    """Not one row may be replayed; the message says why."""


class Unfinished(Unavailable):
    """The broker did not take everything; the message says how to go on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_s=2)


class Terms(msgspec.Struct, kw_only=True, frozen=True):
    """How a replay was asked for.

    `asked` is its words, as they are hashed and written down: without the choice of a dry run.
    """

    asked: Mapping[str, object]
    options: Options
    key: str | None = None
    dry_run: bool = False

    def request(self, caller: Caller, tenant: str | None, kind: str, **more: object) -> Request:
        """The request of a caller; e-mail hashes are cut short."""
        asked = {**self.asked, **more}
        hashed = asked.get("email_sha256")
        if isinstance(hashed, str):
            asked["email_sha256"] = hashed[:8] + "…"
        return Request(
            caller=caller,
            tenant=tenant,
            kind=kind,
            asked=asked,
            options=self.options,
            key=self.key,
            dry_run=self.dry_run,
        )


class Request(msgspec.Struct, kw_only=True, frozen=True):
    """One replay: by whom, of which tenant, under which key."""

    caller: Caller
    tenant: str | None
    kind: str
    asked: dict[str, object]
    options: Options
    key: str | None = None
    dry_run: bool = False

    @property
    def sha256(self) -> str:
        """What the key stands for."""
        # Sorted, so that the same request with its fields in another sequence is the same one.
        text = msgspec.json.encode(
            [self.kind, self.tenant, self.asked, self.options], order="sorted"
        )
        return hashlib.sha256(text).hexdigest()


def no_event(event_id: str) -> NotFound:
    """The error of an event that is not there, or not the caller's."""
    return NotFound(f"no event {event_id[:64]!r}; it may not be stored yet: ask again in a second")


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Replayer:
    """Raises StoreUnavailable, StoreRejected, KeyReused, Unfinished, and NotFound for what is not
    the caller's.
    """

    def __init__(
        self,
        store: ReplayStore,
        operations: IdempotencyStore,
        matching: MatchStore,
        events: Events,
        bus: Publisher,
        plans: Plans,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store, self._operations, self._matching = store, operations, matching
        self._events, self._bus, self._plans, self._clock = events, bus, plans, clock

    async def one(
        self, caller: Caller, event_id: str, terms: Terms, *, destination: str | None
    ) -> Replayed:
        """One event; raises NothingToDo."""
        event = await self._events.get_event(caller.tenant, event_id)
        if event is None:
            raise no_event(event_id)
        request = terms.request(caller, event.tenant, "replay.one", event=event_id)
        known = await self._known(request)
        if known is not None:
            return known
        judged = await self._judge_events(request, [event], destination)
        if not judged.replayed and not request.dry_run:
            # the same call may have come first, and be why nothing is left
            known = await self._known(request)
            if known is not None:
                return known
            words = judged.skipped
            raise NothingToDo(
                "; ".join(f"{word}: {WHY[word]}" for word in words) or "it has nothing to deliver"
            )
        return await self._do(request, judged, None)

    async def many(
        self, caller: Caller, filters: EventFilter, terms: Terms, *, cursor: str | None, limit: int
    ) -> Replayed:
        """A page of events of a list, their deliveries to the filter's destination only.

        Without an outcome in the filter those that are dead. Raises InvalidCursor.
        """
        tenant = caller.scope(filters.tenant)
        request = terms.request(caller, tenant, "replay.many")
        filters = msgspec.structs.replace(filters, tenant=tenant, outcome=filters.outcome or "dead")
        known = await self._known(request)
        if known is not None:
            return known
        page = await self._events.list_events(filters, cursor=cursor, limit=limit)
        judged = await self._judge_events(request, page.events, filters.destination)
        return await self._do(request, judged, page.next_cursor)

    async def groups(self, caller: Caller, tenant: str | None, *, limit: int) -> Groups:
        """What was given up and not replayed, by cause."""
        found = await self._store.groups(caller.scope(tenant), limit=limit + 1)
        return Groups(groups=found[:limit], more=len(found) > limit)

    async def group(
        self,
        caller: Caller,
        tenant: str | None,
        cause: Cause,
        terms: Terms,
        *,
        cursor: str | None,
        limit: int,
    ) -> Replayed:
        """Dead letters of one cause, oldest first, as far as they were there at the first call.

        Raises Invalid for a cursor of nobody.
        """
        request = terms.request(caller, caller.scope(tenant), "replay.dead_letters")
        # The end is that of the first page: what dies again while pages are replayed must not come
        # back on a later one.
        until, after = self._clock().astimezone(UTC), 0
        if cursor is not None:
            until, last = read_cursor(cursor)
            after = _letter(last)
        known = await self._known(request)
        if known is not None:
            return known
        found = await self._store.letters(
            request.tenant, cause, after=after, until=until, limit=limit
        )
        rows = await self._store.rows_of(request.tenant, found)
        judged = judge(
            rows,
            [],
            # The others are judged as the rows that they are about: their state decides, not the
            # letter.
            [letter for letter in found if letter.capi_event_id is None],
            options=request.options,
            tenants=self._plans.snapshot.tenants,
            now=self._clock(),
        )
        more = cursor_of(until, str(found[-1].letter)) if len(found) == limit else None
        return await self._do(request, judged, more)

    async def _judge_events(
        self, request: Request, events: Sequence[EventDetail], destination: str | None
    ) -> Judged:
        named = [(event.id, event.tenant, event.received_at) for event in events]
        rows, unsent = await self._store.of_events(request.tenant, named, destination)
        return judge(
            rows,
            [] if destination is not None else unsent,
            [],
            options=request.options,
            tenants=self._plans.snapshot.tenants,
            now=self._clock(),
        )

    async def _known(self, request: Request) -> Replayed | None:
        if request.key is None or request.dry_run:
            return None
        known = await self._operations.known(request.caller.actor, request.key)
        return None if known is None else await self._again(request, known)

    async def _again(self, request: Request, known: KnownOperation) -> Replayed:
        """The first result of a key; what it left undone is done."""
        if known.kind != request.kind or known.request_sha256 != request.sha256:
            raise KeyReused("this Idempotency-Key was used for another request: take a new one")
        result = msgspec.json.decode(known.result, type=Replayed)
        if not known.done and result.operation is not None:
            await self._hand_back(request.caller, result.operation, known.letters)
        return result

    async def _do(self, request: Request, judged: Judged, cursor: str | None) -> Replayed:
        # A caller without a key gets one: should the broker be away, it is how to go on.
        key = None if request.dry_run else request.key or uuid.uuid4().hex
        result = _result(judged, key=key, dry_run=request.dry_run, cursor=cursor)
        if key is None:
            return result
        done = await self._store.run(
            judged.work,
            actor=request.caller.actor,
            key=key,
            tenant=request.tenant,
            kind=request.kind,
            request_sha256=request.sha256,
            audits=_audits(request, judged, key),
            result=lambda done: msgspec.structs.replace(result, replayed=_moved(done)),
        )
        if isinstance(done, KnownOperation):
            return await self._again(request, done)
        # Whether the broker took them does not matter to the caller: matching's sweep finds the
        # rest.
        await outbox.publish(self._bus, self._matching, done.outbox)
        await self._hand_back(request.caller, key, done.letters)
        return msgspec.structs.replace(result, replayed=_moved(done))

    async def _hand_back(self, caller: Caller, key: str, letters: Sequence[int]) -> None:
        """Give dead letters to matching as new messages.

        They are closed once the broker has them.
        """
        if not letters:
            return
        bodies = await self._store.bodies(letters)
        messages = []
        for one in bodies:
            event = decode_event(one.body)
            subject = names.in_subject(one.tenant, event.kind)
            # An id of its own: under the event's key the broker may drop it as a repeat.
            messages.append(
                Outgoing(
                    subject=subject, body=encode_event(event), msg_id=f"{event.key}:replay:{one.id}"
                )
            )
        answers = await self._bus.publish_many(messages)
        taken = [
            one.id
            for one, said in zip(bodies, answers, strict=True)
            if not isinstance(said, BusError)
        ]
        await self._store.played(taken)
        if len(taken) < len(bodies):
            raise Unfinished(
                f"the broker took {len(taken)} of {len(bodies)} dead letters; the rest stay open: "
                f"call again with Idempotency-Key: {key}"
            )
        await self._operations.finish(caller.actor, key)


def _letter(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise bad_cursor()
    return int(text)


def _moved(done: Done) -> int:
    return len(done.outbox) + len(done.letters)


def _result(judged: Judged, *, key: str | None, dry_run: bool, cursor: str | None) -> Replayed:
    skipped = judged.skipped
    return Replayed(
        operation=key,
        dry_run=dry_run,
        matched=len(judged.samples),
        replayed=judged.replayed,
        skipped=skipped,
        why={word: WHY[word] for word in skipped},
        sample=judged.samples[:SAMPLE],
        next_cursor=cursor,
    )


def _audits(request: Request, judged: Judged, key: str) -> list[AuditEntry]:
    """One row a tenant that is touched."""
    counts: dict[str, int] = {}
    for one in judged.samples:
        if one.action != "skip":
            counts[one.tenant] = counts.get(one.tenant, 0) + 1
    target = str(request.asked.get("event") or request.kind)
    return [
        request.caller.entry(
            "replay",
            target,
            tenant=tenant,
            count=count,
            operation=key,
            asked=request.asked,
            force=request.options.force,
            confirm_duplicate=request.options.confirm_duplicate,
        )
        for tenant, count in sorted(counts.items())
    ]
