"""One round for up to 1,000 rows of one destination: claim, check, send, settle.

The attempt is committed before its request leaves and closed by its answer; a crash between the two
leaves an open attempt, which the next claim reports as a doubt. Each request is settled before the
next one starts, so that what Meta took is written down as soon as it is known.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

import msgspec

from sinal_core.aio.backoff import FULL, Backoff
from sinal_core.aio.clock import Clock
from sinal_core.telemetry import metrics
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.dispatch import outcomes
from sinal_hub.dispatch.bisect import isolate, splits
from sinal_hub.dispatch.destination_health import Circuit
from sinal_hub.dispatch.ports import Graph, Ledger
from sinal_hub.meta import limits, repairs
from sinal_hub.meta.answer import GraphAnswer
from sinal_hub.meta.errors import GraphVerdict
from sinal_hub.meta.pricing import completed
from sinal_hub.meta.validation import Invalid, check
from sinal_hub.store.ledger import ERASED, Answered, Claim, Ref, Request, Result, Row

SHORT_WAIT_S = 0.25  # shorter waits are waited out, longer ones hold no worker
GIVE_BACK_S = 1.0
PAUSED_S = 1.0  # least wait after a pause, whatever the clock says
# of events that the destination may still take
RETRY = Backoff(base_s=2.0, cap_s=900.0, jitter=FULL)

_decode = msgspec.json.Decoder(dict[str, Any]).decode

Fates = dict[Ref, float | None]  # seconds until the message should return; None: done with it


class Item:
    """A claimed row and the event to send for it, which a remedy may change."""

    __slots__ = ("payload", "row")

    def __init__(self, row: Row, payload: Mapping[str, Any]) -> None:
        self.row = row
        self.payload = payload


class Round:
    """Use once."""

    def __init__(
        self,
        tenant: TenantPlan,
        destination: DestinationPlan,
        *,
        ledger: Ledger,
        graph: Graph,
        circuit: Circuit,
        lease_s: float,
        clock: Clock = time,
        rng: random.Random,
        tracer: Tracer | None = None,
        traces: Mapping[Ref, str] = MappingProxyType({}),
    ) -> None:
        self._tenant, self._destination = tenant, destination
        self._ledger, self._graph, self._circuit = ledger, graph, circuit
        self._lease_s, self._clock, self._rng = lease_s, clock, rng
        self._tracer, self._traces = tracer, traces
        self._funnels = {funnel.name: funnel for funnel in tenant.funnels}
        self._fates: Fates = {}
        self._unresolved: dict[int, Row] = {}
        self._request: Request | None = None  # opened by the claim and not used yet

    async def run(self, refs: Sequence[Ref]) -> Fates:
        """Send the rows of `refs` as far as they may be sent now.

        The caller holds the circuit's `begin`.
        """
        claim = await self._ledger.claim(
            self._tenant.slug, self._destination.name, refs, lease_s=self._lease_s
        )
        self._fates.update(dict.fromkeys(claim.settled))
        self._fates.update(claim.waiting)
        items = await self._screen(claim)
        if not items:
            self._circuit.release()
            return self._fates
        self._request = claim.request
        self._unresolved = {item.row.id: item.row for item in items}
        spare = await isolate(items, self._send, may_go_on=self._may_go_on)
        if spare:
            delay_s = max(GIVE_BACK_S, self._circuit.wait_s(self._clock.monotonic()))
            await self._settle([outcomes.put_back(item.row, delay_s) for item in spare], None, None)
        return self._fates

    async def _screen(self, claim: Claim) -> list[Item]:
        """Those that may be sent; the others are settled with their reason and were never sent."""
        items: list[Item] = []
        ended: list[Result] = []
        for row in claim.rows:
            try:
                items.append(Item(row, self._checked(row)))
            except Invalid as error:
                ended.append(outcomes.stopped(row, "dead", error.reason, str(error)))
            except _Withheld as error:
                ended.append(outcomes.stopped(row, "withheld", error.reason))
            except _Parked:
                ended.append(
                    outcomes.stopped(
                        row, "dead", "in_doubt", "a worker was lost while it was being sent"
                    )
                )
        if ended:
            await self._settle(ended, claim.request, None)
            if not items and claim.request is not None:
                await self._ledger.forget(claim.request)
        return items

    def _checked(self, row: Row) -> dict[str, Any]:
        if row.payload_json == ERASED:
            raise _Withheld("erased")
        if not self._consents(row):
            raise _Withheld("no_consent")
        if row.doubted:
            metrics.CAPI_EVENTS.labels(self._tenant.slug, self._destination.name, "in_doubt").inc()
            if self._destination.on_doubt == "Park":
                raise _Parked
        try:
            payload = _decode(row.payload_json)
        except msgspec.MsgspecError as error:
            raise Invalid("rejected", "the stored event is not a JSON object") from error
        funnel = self._funnels.get(row.funnel)
        if funnel is not None:
            payload = completed(payload, funnel.value)
            if funnel.withheld:
                payload = limits.without(payload, funnel.withheld)
        return check(payload, self._clock.time()) | limits.told(self._destination.data_processing)

    def _consents(self, row: Row) -> bool:
        """Consent as it stands at sending: the event's own word, else the current plan's
        default.
        """
        if row.consent_ads is not None:
            return row.consent_ads
        funnel = self._funnels.get(row.funnel)
        default = self._tenant.consent_default if funnel is None else funnel.consent.default
        return default == "Granted"

    async def _ask(self, part: Sequence[Item]) -> GraphAnswer:
        """The request itself, in the trace of each event that has one."""
        payloads = [item.payload for item in part]
        if self._tracer is None:
            return await self._graph.send(self._destination, payloads)
        traces = {str(i.row.id): self._traces[i.row.ref] for i in part if i.row.ref in self._traces}
        about: dict[str, str | int] = {
            "tenant": self._tenant.slug,
            "destination": self._destination.name,
        }
        about["events"] = len(part)
        with self._tracer.batch(
            "dispatch.request", "dispatch.event", traces, kind="client", attributes=about
        ):
            return await self._graph.send(self._destination, payloads)

    async def _send(self, part: Sequence[Item]) -> GraphVerdict:
        request = await self._opened(part)
        answer = await self._ask(part)
        self._circuit.learn(answer, self._clock.monotonic(), asked=self._destination)
        self._circuit.sign.answered(answer.verdict.kind, self._clock.time())
        metrics.CAPI_REQUEST_SECONDS.labels(self._destination.name).observe(
            answer.latency_ms / 1000
        )
        if len(part) == 1 and self._remedied(part[0], answer.verdict):
            await self._settle([outcomes.split(part[0].row)], request, answer)
            return await self._send(part)
        await self._settle(await self._results(part, answer.verdict), request, answer)
        return answer.verdict

    async def _opened(self, part: Sequence[Item]) -> Request:
        request, self._request = self._request, None
        if request is not None:
            return request
        rows = [item.row for item in part]
        return await self._ledger.reopen(
            self._tenant.slug,
            self._destination.name,
            rows,
            list(self._unresolved.values()),
            lease_s=self._lease_s,
        )

    @staticmethod
    def _remedied(item: Item, verdict: GraphVerdict) -> bool:
        """Whether a field could be blamed and was left out, so that the event deserves another
        try.
        """
        better = (
            repairs.without_culprit(item.payload, verdict.subcode)
            if verdict.kind == "data"
            else None
        )
        if better is not None:
            item.payload = better
        return better is not None

    async def _results(self, part: Sequence[Item], verdict: GraphVerdict) -> list[Result]:
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
                on_doubt=self._destination.on_doubt,
                refusals=refusals.get(item.row.id, 0),
                delay_s=delay_s,
            )
            for item in part
        ]

    def _delay_s(self, part: Sequence[Item], verdict: GraphVerdict) -> float:
        """One delay for all of a request, so that they come back as a batch."""
        blocked_s = self._circuit.wait_s(self._clock.monotonic())
        if verdict.kind in ("throttle", "credential", "configuration"):
            return max(PAUSED_S, blocked_s)
        failures = max(item.row.attempts for item in part)
        return max(blocked_s, RETRY.delay_s(failures, self._rng))

    async def _may_go_on(self) -> bool:
        wait_s = self._circuit.wait_s(self._clock.monotonic())
        if 0 < wait_s <= SHORT_WAIT_S:
            await asyncio.sleep(wait_s)
        return self._circuit.begin(self._clock.monotonic())

    async def _settle(
        self, results: list[Result], request: Request | None, answer: GraphAnswer | None
    ) -> None:
        answered = None if answer is None else _answered(answer, sent=len(results))
        moved = await self._ledger.settle(
            self._tenant.slug, results, request=request, answered=answered
        )
        for result in results:
            if result.status is not None:
                self._unresolved.pop(result.row.id, None)
                self._fates[result.row.ref] = result.delay_s if result.status == "pending" else None
        self._count(results, moved)

    def _count(self, results: Sequence[Result], moved: Set[int]) -> None:
        """Once a request: what its events have in common costs as much as one."""
        tenant, destination, now = self._tenant.slug, self._destination.name, self._clock.time()
        ended = [
            result for result in results if result.status is not None and result.row.id in moved
        ]
        counts: Counter[str] = Counter(
            result.outcome for result in results if result.outcome is not None
        )
        counts.update("withheld" for result in ended if result.status == "withheld")
        for outcome, events in counts.items():
            metrics.CAPI_EVENTS.labels(tenant, destination, outcome).inc(events)
        for reason, events in Counter(
            result.reason for result in ended if result.status == "dead"
        ).items():
            metrics.DEAD_LETTERS.labels(tenant, reason).inc(events)
        latency = metrics.EVENT_LATENCY.labels(tenant, "delivered")
        for result in ended:
            if result.status == "delivered":
                latency.observe(max(0.0, now - result.row.received_at.timestamp()))


class _Withheld(Exception):
    """Must not be sent, and nobody is to blame."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Parked(Exception):
    """In doubt, and the destination wants a person to decide."""


def _answered(answer: GraphAnswer, *, sent: int) -> Answered:
    verdict = answer.verdict
    return Answered(
        sent=sent,
        verdict=verdict.kind,
        http_status=verdict.http_status,
        code=verdict.code,
        subcode=verdict.subcode,
        fbtrace_id=verdict.fbtrace_id,
        answer=verdict.answer,
        latency_ms=answer.latency_ms,
    )
