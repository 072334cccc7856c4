"""One round for some entries of one destination: claim, check, send, settle.

The attempt is committed before its request leaves and closed by its answer; a crash between the two
leaves an open attempt, which the next claim reports as a doubt. Each request is settled before the
next one starts, so that what the other side took is written down as soon as it is known.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from sinal_core.aio.clock import Clock
from sinal_core.outbox import outcomes
from sinal_core.outbox.answers import Answer, Verdict
from sinal_core.outbox.bisect import isolate, splits
from sinal_core.outbox.health import DestinationHealth
from sinal_core.outbox.ledger import IN_DOUBT, Answered, Claim, E, Ledger, Ref, Request, Result
from sinal_core.outbox.ports import Destination, Key, Unsendable
from sinal_core.telemetry.tracing import Tracer

SHORT_WAIT_S = 0.25  # shorter waits are waited out, longer ones hold no worker
GIVE_BACK_S = 1.0
PAUSED_S = 1.0  # least wait after a pause, whatever the clock says

P = TypeVar("P")

Fates = dict[Ref, float | None]  # seconds until the message should return; None: done with it


class Spans(NamedTuple):
    """How requests are traced: the span of one, and that of each of its entries."""

    tracer: Tracer
    request: str
    entry: str
    entries: str  # the attribute that says how many


class Item(Generic[E, P]):
    """A claimed entry and what is sent for it, which may be mended."""

    __slots__ = ("payload", "row")

    def __init__(self, row: E, payload: P) -> None:
        self.row = row
        self.payload = payload


class Round(Generic[E, P]):
    """Use once."""

    def __init__(
        self,
        key: Key,
        destination: Destination[E, P],
        *,
        ledger: Ledger[E],
        health: DestinationHealth,
        lease_s: float,
        clock: Clock = time,
        rng: random.Random,
        spans: Spans | None = None,
        traces: Mapping[Ref, str] = MappingProxyType({}),
    ) -> None:
        self._tenant, self._name = key
        self._destination, self._terms = destination, destination.terms
        self._metrics = destination.metrics
        self._ledger, self._health = ledger, health
        self._lease_s, self._clock, self._rng = lease_s, clock, rng
        self._spans, self._traces = spans, traces
        self._fates: Fates = {}
        self._unresolved: dict[int, E] = {}
        self._request: Request | None = None  # opened by the claim and not used yet

    async def run(self, refs: Sequence[Ref]) -> Fates:
        """Send the entries of `refs` as far as they may be sent now.

        The caller holds the right to send that `DestinationHealth.begin` gave.
        """
        claim = await self._ledger.claim(self._tenant, self._name, refs, lease_s=self._lease_s)
        self._fates.update(dict.fromkeys(claim.settled))
        self._fates.update(claim.waiting)
        items = await self._screen(claim)
        if not items:
            # a right that was not used: as a probe it would keep all others out until it times out
            self._health.release()
            return self._fates
        self._request = claim.request
        self._unresolved = {item.row.id: item.row for item in items}
        spare = await isolate(items, self._send, may_go_on=self._may_go_on)
        if spare:
            delay_s = max(GIVE_BACK_S, self._health.wait_s(self._clock.monotonic()))
            await self._settle([outcomes.put_back(item.row, delay_s) for item in spare], None, None)
        return self._fates

    async def _screen(self, claim: Claim[E]) -> list[Item[E, P]]:
        """Those that may be sent; the others are settled with their reason and were never sent."""
        items: list[Item[E, P]] = []
        ended: list[Result[E]] = []
        for row in claim.rows:
            judged = self._judged(row)
            if isinstance(judged, Item):
                items.append(judged)
            else:
                ended.append(judged)
        if ended:
            await self._settle(ended, claim.request, None)
            if not items and claim.request is not None:
                await self._ledger.forget(claim.request)
        return items

    def _judged(self, row: E) -> Item[E, P] | Result[E]:
        # asked at each claim: erasure and consent may be newer than the row
        reason = self._destination.withheld(row)
        if reason is not None:
            return outcomes.stopped(row, "withheld", reason)
        if row.doubted:
            self._metrics.doubted()
            if self._terms.on_doubt == "Park":
                detail = "a worker was lost while it was being sent"
                return outcomes.stopped(row, "dead", IN_DOUBT, detail)
        try:
            return Item(row, self._destination.payload(row))
        except Unsendable as error:
            return outcomes.stopped(row, "dead", error.reason, str(error))

    async def _ask(self, part: Sequence[Item[E, P]]) -> Answer:
        """The request itself, in the trace of each entry that has one."""
        payloads = [item.payload for item in part]
        if self._spans is None:
            return await self._destination.send(payloads)
        traces = {str(i.row.id): self._traces[i.row.ref] for i in part if i.row.ref in self._traces}
        about: dict[str, str | int] = {"tenant": self._tenant, "destination": self._name}
        about[self._spans.entries] = len(part)
        with self._spans.tracer.batch(
            self._spans.request, self._spans.entry, traces, kind="client", attributes=about
        ):
            return await self._destination.send(payloads)

    async def _send(self, part: Sequence[Item[E, P]]) -> Verdict:
        request = await self._opened(part)
        answer = await self._ask(part)
        verdict = answer.verdict
        self._health.learn(answer, self._clock.monotonic(), asked=self._terms)
        self._metrics.answered(verdict.kind, self._clock.time(), answer.latency_ms / 1000)
        if len(part) == 1:
            better = self._destination.mended(part[0].payload, verdict)
            if better is not None:
                part[0].payload = better
                await self._settle([outcomes.split(part[0].row)], request, answer)
                return await self._send(part)
        await self._settle(await self._results(part, verdict), request, answer)
        return verdict

    async def _opened(self, part: Sequence[Item[E, P]]) -> Request:
        request, self._request = self._request, None
        if request is not None:
            return request
        return await self._ledger.reopen(
            self._tenant,
            self._name,
            [item.row for item in part],
            list(self._unresolved.values()),
            lease_s=self._lease_s,
        )

    async def _results(self, part: Sequence[Item[E, P]], verdict: Verdict) -> list[Result[E]]:
        if splits(verdict, len(part)):
            return [outcomes.split(item.row) for item in part]
        refusals = (
            await self._ledger.refusals([item.row for item in part])
            if verdict.kind == "unknown"
            else {}
        )
        delay_s = self._delay_s(part, verdict)
        return [
            outcomes.final(
                item.row,
                verdict,
                terms=self._terms,
                refusals=refusals.get(item.row.id, 0),
                delay_s=delay_s,
            )
            for item in part
        ]

    def _delay_s(self, part: Sequence[Item[E, P]], verdict: Verdict) -> float:
        """One delay for all of a request, so that they come back as a batch."""
        blocked_s = self._health.wait_s(self._clock.monotonic())
        if verdict.kind in ("throttle", "credential", "configuration"):
            return max(PAUSED_S, blocked_s)
        failures = max(item.row.attempts for item in part)
        return max(blocked_s, self._terms.retry.delay_s(failures, self._rng))

    async def _may_go_on(self) -> bool:
        wait_s = self._health.wait_s(self._clock.monotonic())
        if 0 < wait_s <= SHORT_WAIT_S:
            await asyncio.sleep(wait_s)
        return self._health.begin(self._clock.monotonic())

    async def _settle(
        self, results: list[Result[E]], request: Request | None, answer: Answer | None
    ) -> None:
        answered = None if answer is None else _answered(answer, sent=len(results))
        moved = await self._ledger.settle(self._tenant, results, request=request, answered=answered)
        for result in results:
            if result.status is not None:
                self._unresolved.pop(result.row.id, None)
                self._fates[result.row.ref] = result.delay_s if result.status == "pending" else None
        self._count(results, moved)

    def _count(self, results: Sequence[Result[E]], moved: Set[int]) -> None:
        """Once a request: what its entries have in common costs as much as one."""
        # where the claim was lost, the worker that has it now counts
        ended = [
            result for result in results if result.status is not None and result.row.id in moved
        ]
        counts: Counter[str] = Counter(
            result.outcome for result in results if result.outcome is not None
        )
        counts.update("withheld" for result in ended if result.status == "withheld")
        dead = Counter(
            result.reason for result in ended if result.status == "dead" and result.reason
        )
        delivered = [result.row for result in ended if result.status == "delivered"]
        self._metrics.settled(counts, dead, delivered, self._clock.time())


def _answered(answer: Answer, *, sent: int) -> Answered:
    verdict = answer.verdict
    return Answered(
        sent=sent,
        verdict=verdict.kind,
        http_status=verdict.http_status,
        code=verdict.code,
        subcode=verdict.subcode,
        trace_id=verdict.trace_id,
        answer=verdict.answer,
        latency_ms=answer.latency_ms,
    )
