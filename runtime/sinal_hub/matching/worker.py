"""The match role: takes a lane's messages, runs them in a transaction, publishes the outbox, then
acks.

A message is acked only when its effect is durable and its outbox is on the bus. While one batch of
a tenant is published the next may be in its transaction; two of its transactions are never under
way at once. A batch that PostgreSQL refuses is cut in halves until the poisoned message is alone:
it is tried again a few times and then given up with its body on record. PostgreSQL or the broker
being away is no fault of a message: it waits in the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from sinal_core.aio.coalesce import Coalescer
from sinal_core.nats.adaptive_linger import nak_delay_s
from sinal_core.nats.client import Publisher
from sinal_core.nats.lane import Lane
from sinal_core.nats.message import Message
from sinal_core.plans.ports import Plans
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import Contended, StoreError, StoreRejected, StoreUnavailable
from sinal_core.telemetry import metrics
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.plan import TenantPlan
from sinal_hub.matching.batch import Batch, BatchResult
from sinal_hub.matching.outbox import publish
from sinal_hub.matching.sweep import Sweeper, count, words
from sinal_hub.model.events import Event, decode_event
from sinal_hub.model.times import moment
from sinal_hub.store.matching import MatchStore, MatchTransaction
from sinal_hub.store.matching_rows import DeadLetter, EventHead

log = structlog.get_logger(__name__)

GIVE_UP_AFTER = 5  # deliveries of a message that fails alone
NO_PLAN_DELAY_S = 5.0
APART_S = 0.02  # between the starts of two transactions, unless one is full


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class TenantBatch(msgspec.Struct, frozen=True):
    """A batch of one tenant: its messages and what they say."""

    plan: TenantPlan
    batch: Sequence[tuple[Message, Event]]

    @property
    def tenant(self) -> str:
        """Slug."""
        return self.plan.slug

    @property
    def key(self) -> str:
        """One batch of a tenant at a time."""
        return self.plan.slug

    def __len__(self) -> int:
        return len(self.batch)


class Committed(msgspec.Struct, frozen=True):
    """What a batch left, and the traces that go on in what it publishes, by event."""

    result: BatchResult
    traces: Mapping[str, str] | None


class MatchWorker:
    """Handler of the match lanes, and the sweeper of what they leave.

    It runs at most `transactions` at once, each for up to `most` messages of as many lanes as it
    takes.
    """

    def __init__(
        self,
        database: Database,
        bus: Publisher,
        plans: Plans,
        *,
        clock: Callable[[], datetime] = utc_now,
        tracer: Tracer | None = None,
        transactions: int = 2,
        most: int = 200,
    ) -> None:
        self._together: Coalescer[TenantBatch, Committed | None] = Coalescer(
            self._share, slots=transactions, most=most, apart_s=APART_S
        )
        self._store = MatchStore(database)
        self._bus = bus
        self._plans = plans
        self._clock = clock
        self._tracer = tracer
        self._recorded: dict[str, TenantPlan] = {}
        self._sweeper = Sweeper(self._store, bus, plans, clock=clock)

    async def handle(self, lane: Lane, messages: list[Message]) -> None:
        """Settle every message of one lane: ack, nak with a delay, or term after recording it as
        dead.
        """
        plan = self._plans.snapshot.tenants.get(lane.tenant)
        # Nobody knows by which rules to judge. The plan may be on its way, or held back because the
        # slug's data are another Tenant's: events wait in the stream meanwhile.
        if plan is None:
            await asyncio.gather(*(message.nak(NO_PLAN_DELAY_S) for message in messages))
            return
        readable: list[tuple[Message, Event]] = []
        for message in messages:
            event = _read(message, lane.tenant)
            if event is None:
                await self._give_up(
                    lane.tenant, message, None, "the message is not an event of this tenant"
                )
            else:
                readable.append((message, event))
        if readable:
            part = TenantBatch(plan, readable)
            await self._finish(part, await self._together.run(part))

    async def sweep(self) -> None:
        """Work on what no message brings; called about once a second."""
        await self._sweeper.sweep()

    async def _share(self, parts: Sequence[TenantBatch]) -> list[Committed | None]:
        """Commit the batches of several tenants as one.

        When that is refused, each for itself: one pays for no other.

        None for a batch that is settled already.
        """
        try:
            return list(await self._run(parts))
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not (
                isinstance(error, Contended) and len(parts) > 1
            ):
                log.warning(
                    "match.store_unavailable", messages=sum(map(len, parts)), error=str(error)
                )
                await asyncio.gather(*(_nak(part.batch) for part in parts))
            elif len(parts) > 1:
                return [done for part in parts for done in await self._share([part])]
            else:
                await self._divide(parts[0], error)
        return [None] * len(parts)

    async def _run(self, parts: Sequence[TenantBatch]) -> list[Committed]:
        """One transaction, traced where anything is."""
        if self._tracer is None:
            return [Committed(result, None) for result in await self._commit(parts)]
        traces = {event.id: message.traceparent for part in parts for message, event in part.batch}
        known = {event: trace for event, trace in traces.items() if trace}
        about: dict[str, str | int] = {"tenants": len(parts), "messages": sum(map(len, parts))}
        with self._tracer.batch(
            "match.batch", "match.event", known, kind="consumer", attributes=about
        ) as goes_on:
            return [Committed(result, goes_on) for result in await self._commit(parts)]

    async def _finish(self, part: TenantBatch, done: Committed | None) -> None:
        """Publish what a batch left, then ack it.

        It comes again where the broker did not take all.
        """
        if done is None:
            return
        try:
            whole = await publish(self._bus, self._store, done.result.outbox, traces=done.traces)
        except StoreError as error:
            log.warning("match.store_unavailable", messages=len(part), error=str(error))
            whole = False
        # The batch is committed in either case: what comes again is known by then, does nothing a
        # second time and only publishes what the broker has not taken.
        await (_ack if whole else _nak)(part.batch)

    async def _commit(self, parts: Sequence[TenantBatch]) -> list[BatchResult]:
        await self._record(
            [part.plan for part in parts if self._recorded.get(part.tenant) is not part.plan]
        )
        now = self._clock()

        async def batch(place: int, transaction: MatchTransaction) -> BatchResult:
            return await Batch(parts[place].plan, transaction, now=now).run(
                [event for _, event in parts[place].batch]
            )

        with metrics.MATCH_SECONDS.time():
            results = await self._store.in_one_transaction([part.tenant for part in parts], batch)
        for part, result in zip(parts, results, strict=True):
            count(part.tenant, result, self._clock())
        return results

    async def _divide(self, part: TenantBatch, error: Exception) -> None:
        """Halve a refused batch; a single message is tried again, then given up."""
        plan, batch = part.plan, part.batch
        if len(batch) > 1:
            half = len(batch) // 2
            for some in (TenantBatch(plan, batch[:half]), TenantBatch(plan, batch[half:])):
                [done] = await self._share([some])
                await self._finish(some, done)
            return
        message, event = batch[0]
        detail = words(error)
        log.error(
            "match.failed",
            tenant=plan.slug,
            event_row=event.id,
            deliveries=message.deliveries,
            error=detail,
            fault=error,
        )
        if message.deliveries < GIVE_UP_AFTER:
            await _nak(batch)
        else:
            await self._give_up(plan.slug, message, event, detail)

    async def _give_up(
        self, tenant: str, message: Message, event: Event | None, detail: str
    ) -> None:
        """Record a message that can't be handled, then tell the broker to forget it."""
        letter = DeadLetter(
            tenant=tenant,
            body=_text(message.body),
            reason="internal_error",
            detail=detail,
            attempts=message.deliveries,
            event=None if event is None else _head(event),
        )
        try:
            # Before `term`, which takes the message from the broker: its only copy must not go with
            # a process that dies in between.
            await self._store.dead_letter(letter)
        except StoreError as error:
            log.error("match.dead_letter_failed", tenant=tenant, error=str(error))
            await message.nak(nak_delay_s(message.deliveries))
            return
        metrics.DEAD_LETTERS.labels(tenant, letter.reason).inc()
        log.error(
            "match.gave_up", tenant=tenant, event_row=event.id if event else None, detail=detail
        )
        await message.term()

    async def _record(self, plans: Sequence[TenantPlan]) -> None:
        """Keep the tables of tenants and funnels as new plans have them.

        Events must not suffer for it.
        """
        if not plans:
            return
        try:
            await self._store.record_plans(plans)
        except StoreRejected as error:
            if len(plans) > 1:
                for plan in plans:
                    await self._record([plan])
                return
            log.error("match.plan_not_recorded", tenant=plans[0].slug, error=str(error))
        # Also of a plan that was refused: it would be refused again at every batch.
        self._recorded.update({plan.slug: plan for plan in plans})


def _read(message: Message, tenant: str) -> Event | None:
    """The message's event; None when it is none, or of another tenant than its lane."""
    try:
        event = decode_event(message.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return (
        event
        if event.tenant == tenant and (event.kind == "sale") == (event.sale is not None)
        else None
    )


async def _ack(batch: Sequence[tuple[Message, Event]]) -> None:
    for message, _ in batch:
        await message.ack()


async def _nak(batch: Sequence[tuple[Message, Event]]) -> None:
    await asyncio.gather(*(message.nak(nak_delay_s(message.deliveries)) for message, _ in batch))


def _text(body: bytes) -> str:
    """PostgreSQL's text takes no NUL."""
    return body.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _head(event: Event) -> EventHead:
    return EventHead(
        id=event.id,
        received_at=moment(event.received_at),
        occurred_at=moment(event.occurred_at),
        funnel=_text(event.funnel.encode()),
        kind=event.kind,
        source=event.source,
    )
