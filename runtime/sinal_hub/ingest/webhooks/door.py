"""Webhooks of payment gateways: who, verify, parse, publish.

A sale is money, so the door is as wide as honesty allows.

The rules are in `accept.py`; here is what has to be waited for: the body, the tenant's limit, the
broker, the quarantine. A verified delivery that no adapter understands is kept encrypted and
answered 2xx: gateways switch off URLs that answer errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from sinal_core.aio.clock import WallClock
from sinal_core.http import body, problem
from sinal_core.http.exchange import Answer, Request, json_answer
from sinal_crds.plan import TenantPlan
from sinal_hub.gateways import Gateway, answers
from sinal_hub.ingest.drift.watch import Drift
from sinal_hub.ingest.webhooks import refusals
from sinal_hub.ingest.webhooks.accept import (
    Acceptance,
    Believed,
    NotUnderstood,
    Understood,
    accept,
)
from sinal_hub.intake import publisher
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.intake.ports import Limiter, Plans, Quarantine
from sinal_hub.model.events import Event
from sinal_hub.quarantine import keeping as quarantine
from sinal_hub.quarantine.new_words import NewWords

log = structlog.get_logger(__package__)

MAX_BODY = 1024 * 1024
# Protects the process against a flood, not the tenant's quota: far above what any shop sells.
MIN_PER_MINUTE = 60_000
TIMES_EVENTS = 10
COPY_S = 1.0  # an answer waits so long for the copy of a delivery that is stored already
UNREADABLE_PER_MINUTE = 600  # of a tenant: each takes up a place in quarantine


class Webhooks:
    """The doors for gateways."""

    def __init__(
        self,
        *,
        plans: Plans,
        gateways: Mapping[str, Gateway],
        out: publisher.EventPublisher,
        limiter: Limiter,
        quarantine: Quarantine,
        clock: WallClock,
        body_timeout_s: float,
        drift: Drift,
        tally: IntegrationCounters | None = None,
        trusted_proxies: int = 0,
    ) -> None:
        self._plans = plans
        self._rules = Acceptance(plans=plans, gateways=gateways)
        self._drift, self._tally = drift, tally
        self._gateways = gateways
        self._out = out
        self._limiter = limiter
        self._quarantine = quarantine
        self._new_words = NewWords(quarantine)
        self._clock = clock
        self._body_timeout_s = body_timeout_s
        self._trusted_proxies = trusted_proxies
        self._copies: set[asyncio.Future[str | None]] = set()

    async def post(
        self, request: Request, slug: str | None, name: str, token: str | None
    ) -> Answer:
        """`POST /api/v1/webhooks/<gateway>[/<token>]`; a refusal is noted on the request."""
        request.source = "webhook"
        proof = refusals.Proof(request)
        try:
            raw = await body.read(request, limit=MAX_BODY, deadline_s=self._body_timeout_s)
            believed = self._rules.believe(request, slug, name, token, raw, proof)
            return await self._taken(request, name, believed, raw)
        except problem.Problem as error:
            request.refusal = refusals.judge(
                error,
                request=request,
                snapshot=self._plans.snapshot,
                slug=slug,
                gateway=name if name in self._gateways else "",
                token=token,
                proof=proof,
                trusted_proxies=self._trusted_proxies,
            )
            raise

    async def _taken(self, request: Request, name: str, believed: Believed, raw: bytes) -> Answer:
        """From the limit on, before which nothing is read of a delivery."""
        # behind the proof: strangers must not use up a tenant's limit
        await self._admit_rate(believed.tenant)
        gateway, tenant = believed.gateway, believed.tenant.slug
        understood = self._rules.read(request, name, believed, raw)
        if isinstance(understood, NotUnderstood):
            self._drift.unreadable(gateway, tenant=tenant)
            return await self._set_aside(request, believed, name, understood.raw, understood.reason)
        if self._drift.look(gateway, understood.raw, understood.sales, tenant=tenant):
            self._count_drift(believed)
        now_ms = int(self._clock.time() * 1000)
        events = accept(request, believed, understood, now_ms=now_ms)
        return await self._stored(request, name, believed, understood, events)

    async def _stored(
        self,
        request: Request,
        name: str,
        believed: Believed,
        understood: Understood,
        events: list[Event],
    ) -> Answer:
        try:
            duplicates = await self._out.put(events)
        except publisher.EventTooLarge:
            reason = "a sale is larger than the broker takes"
            return await self._set_aside(request, believed, name, understood.raw, reason)
        answer: dict[str, object] = {"events": list(map(_receipt, events, duplicates))}
        # a repeat had its copy kept when it came first
        if not all(duplicates) and (copy := await self._keep_copy(request, believed, understood)):
            answer["kept"] = copy  # to be read again when its word is known
        if skipped := len(understood.sales) - len(events):
            answer["skipped"] = skipped  # of products that no integration asked for
        return _taken_by(believed.gateway, answer)

    def _count_drift(self, believed: Believed) -> None:
        if self._tally is not None:
            self._tally.drifted(believed.tenant.slug, believed.integration.name)

    async def _admit_rate(self, tenant: TenantPlan) -> None:
        per_minute = max(MIN_PER_MINUTE, TIMES_EVENTS * tenant.limits.events_per_minute)
        wait_s = await self._limiter.take(f"{tenant.slug}:webhooks", 1, per_minute=per_minute)
        if wait_s:
            raise problem.retry(429, "Too many deliveries at once.", wait_s)

    async def _keep_copy(
        self, request: Request, believed: Believed, understood: Understood
    ) -> str | None:
        """The copy's id.

        It may take no time from the answer: a sender that waits in vain counts a failure.
        """
        keeping = asyncio.ensure_future(
            self._new_words.keep(
                believed.gateway,
                understood.sales,
                tenant=request.tenant,
                integration=request.integration or believed.integration.name,
                raw=understood.raw,
            )
        )
        self._copies.add(keeping)
        keeping.add_done_callback(self._copies.discard)
        done, _ = await asyncio.wait({keeping}, timeout=COPY_S)
        return keeping.result() if done else None

    async def _set_aside(
        self, request: Request, believed: Believed, name: str, raw: bytes, reason: str
    ) -> Answer:
        self._count_drift(believed)
        bucket = f"{believed.tenant.slug}:unreadable"
        if wait_s := await self._limiter.take(bucket, 1, per_minute=UNREADABLE_PER_MINUTE):
            raise problem.retry(429, "Too many deliveries that are not understood.", wait_s)
        try:
            kept = await self._quarantine.keep(
                tenant=request.tenant,
                integration=believed.integration.name,
                gateway=name,
                raw=raw,
                reason=reason,
            )
        except quarantine.CannotKeep:
            raise problem.retry(
                503, "The delivery is not understood and could not be kept.", 30
            ) from None
        log.warning(
            "webhook.quarantined", gateway=name, tenant=request.tenant, id=kept, reason=reason
        )
        return _taken_by(believed.gateway, {"events": [], "quarantined": True, "id": kept})


def _taken_by(gateway: Gateway, answer: dict[str, object]) -> Answer:
    """What the gateway is told of a delivery that was stored, in the status that it wants to
    hear.
    """
    return json_answer(answers.accepted(gateway), answer)


def _receipt(event: Event, duplicate: bool) -> dict[str, object]:
    status = event.sale.status if event.sale else None
    return {"id": event.id, "status": status, "duplicate": duplicate}
