"""Webhooks of payment gateways: who, verify, parse, publish.

A sale is money, so the door is as wide as honesty allows.

Every way of not being believed ends in the same answer after the same work. A verified delivery
that no adapter understands is kept encrypted and answered 2xx: gateways switch off URLs that answer
errors.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence

import structlog

from sinal_core.aio.clock import WallClock
from sinal_core.http import body, problem
from sinal_core.http.exchange import Answer, Request, json_answer
from sinal_core.plans.snapshot import sha256
from sinal_core.telemetry.places import where
from sinal_crds.plan import IntegrationPlan, TenantPlan
from sinal_hub.gateways import Gateway, NotThisGateway, answers, is_test, text
from sinal_hub.ingest.drift.watch import Drift
from sinal_hub.ingest.http import mount
from sinal_hub.ingest.webhooks import refusals
from sinal_hub.intake import events_from, publisher
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.intake.events_from import takes
from sinal_hub.intake.ports import Limiter, Plans, Quarantine
from sinal_hub.model.events import Event
from sinal_hub.model.readback import ReadBack, ReadsBack
from sinal_hub.model.sale import MalformedSale, Sale, checked, marked_test
from sinal_hub.quarantine import keeping as quarantine
from sinal_hub.quarantine.new_words import NewWords

log = structlog.get_logger(__package__)

MAX_BODY = 1024 * 1024
# Protects the process against a flood, not the tenant's quota: far above what any shop sells.
MIN_PER_MINUTE = 60_000
TIMES_EVENTS = 10
COPY_S = 1.0  # an answer waits so long for the copy of a delivery that is stored already
UNREADABLE_PER_MINUTE = 600  # of a tenant: each takes up a place in quarantine

Candidate = tuple[TenantPlan, IntegrationPlan]


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
        self._drift, self._tally = drift, tally
        self._gateways = gateways
        # Asked once: whether a module fits a protocol is looked for member by member.
        self._readers = {
            name: gateway for name, gateway in gateways.items() if isinstance(gateway, ReadsBack)
        }
        self._out = out
        self._limiter = limiter
        self._quarantine = quarantine
        self._new_words = NewWords(quarantine)
        self._clock = clock
        self._body_timeout_s = body_timeout_s
        self._trusted_proxies = trusted_proxies
        self._decoy = secrets.token_hex(16)
        self._copies: set[asyncio.Future[str | None]] = set()

    async def post(
        self, request: Request, slug: str | None, name: str, token: str | None
    ) -> Answer:
        """`POST /api/v1/webhooks/<gateway>[/<token>]`; a refusal is noted on the request."""
        request.source = "webhook"
        proof = refusals.Proof(request)
        try:
            return await self._taken(request, slug, name, token, proof)
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

    async def _taken(
        self,
        request: Request,
        slug: str | None,
        name: str,
        token: str | None,
        proof: refusals.Proof,
    ) -> Answer:
        raw = await body.read(request, limit=MAX_BODY, deadline_s=self._body_timeout_s)
        gateway = self._gateways.get(name)
        if gateway is None and self._is_awaited(name, token):
            raise problem.retry(
                503,
                "This edge has no adapter of that gateway: install its package.",
                60,
                reason="no_adapter",
            )
        believed = self._believed(request, slug, gateway, name, token, raw, proof)
        if gateway is None or not believed:
            raise problem.unauthorized()
        shown = believed[0][1]
        if (
            token is not None
            and shown.earlier_tokens_sha256
            and sha256(token) != shown.token_sha256
        ):
            request.earlier = ("webhook-token", shown.name)
        if all(tenant.refuses(integration) for tenant, integration in believed):
            raise _suspended(request)
        await self._admit_rate(believed[0][0])
        raw = text.transcoded(
            raw, request.headers.get("content-type", "")
        )  # what was proven is read; the rest is UTF-8
        try:
            sales = checked(gateway.parse(raw, country=believed[0][0].country))
            sales = marked_test(sales) if is_test(gateway, request.headers) else sales
            call = self._call(name, raw, request)
        except NotThisGateway as error:
            self._drift.unreadable(gateway, tenant=believed[0][0].slug)
            return await self._set_aside(request, believed, name, raw, str(error))
        except MalformedSale as error:
            self._drift.unreadable(gateway, tenant=believed[0][0].slug)
            log.error("webhook.adapter_fault", gateway=name, error=str(error))
            return await self._set_aside(request, believed, name, raw, f"adapter fault: {error}")
        except Exception as error:  # an adapter's fault must not cost the delivery
            self._drift.unreadable(gateway, tenant=believed[0][0].slug)
            log.error(
                "webhook.adapter_fault",
                tenant=believed[0][0].slug,
                gateway=name,
                error=type(error).__name__,
                at=where(error),
            )
            return await self._set_aside(
                request, believed, name, raw, f"adapter fault: {type(error).__name__}"
            )
        if self._drift.look(gateway, raw, sales, tenant=believed[0][0].slug):
            self._count_drift(believed[0])
        return await self._accept(request, believed, name, raw, sales, call)

    def _believed(
        self,
        request: Request,
        slug: str | None,
        gateway: Gateway | None,
        name: str,
        token: str | None,
        raw: bytes,
        proof: refusals.Proof,
    ) -> list[Candidate]:
        """The integrations that this delivery is from: one by token, or those of the host whose
        secret it knows.
        """
        if gateway is None:
            return []

        def check(secret: Mapping[str, str]) -> bool:
            return _verify(gateway, raw, proof.headers, proof.query, secret)

        try:
            found = self._candidates(request, slug, gateway, token)
        except problem.Problem:
            check(self._decoy_of(gateway))
            raise
        candidates = [candidate for candidate in found if candidate[1].gateway == name]
        if not candidates:
            check(self._decoy_of(gateway))  # an unknown token costs what a bad signature costs
            return []
        self._note(request, candidates)
        unusable = [
            i for _, i in candidates if not all(map(i.credentials.get, gateway.SECRET_KEYS))
        ]
        if len(unusable) == len(candidates):
            detail = "The integration's credentials are missing: see its status."
            raise problem.retry(503, detail, 60, reason="no_credentials")
        believed = [candidate for candidate in candidates if check(candidate[1].credentials)]
        # what is not understood is kept for the first
        return sorted(believed, key=lambda one: one[0].refuses(one[1]))

    def _is_awaited(self, name: str, token: str | None) -> bool:
        """Whether the plan has this very URL: then the sender must come again until the package is
        installed.
        """
        found = (
            self._plans.snapshot.by_token(token)
            if token and len(token) <= mount.MAX_CREDENTIAL
            else None
        )
        return found is not None and found[1].gateway == name

    def _candidates(
        self, request: Request, slug: str | None, gateway: Gateway, token: str | None
    ) -> Sequence[Candidate]:
        snapshot = self._plans.snapshot
        found = (
            snapshot.by_token(token)
            if token is not None and len(token) <= mount.MAX_CREDENTIAL
            else None
        )
        if found is not None and slug in (None, found[0].slug):
            # a right token is a better proof than the host that a sender was told to call
            return [found]
        where = mount.place(snapshot, request, slug)
        if token is None:
            if where.tenant is None:
                raise problem.unknown_tenant()
            if not where.own_host or not gateway.AUTHENTICATES:
                return []
            return [(where.tenant, integration) for integration in where.tenant.integrations]
        return []

    def _decoy_of(self, gateway: Gateway) -> dict[str, str]:
        return dict.fromkeys(gateway.SECRET_KEYS, self._decoy)

    def _note(self, request: Request, candidates: Sequence[Candidate]) -> None:
        request.tenant = candidates[0][0].slug
        if len(candidates) == 1:
            request.integration = candidates[0][1].name

    def _call(self, name: str, raw: bytes, request: Request) -> ReadBack | None:
        """The call to the gateway's API that a notice without a sale needs.

        It is made later, by the match role.
        """
        reader = self._readers.get(name)
        return reader.readback(raw, request.headers, request.appended_query) if reader else None

    def _count_drift(self, believed: Candidate) -> None:
        if self._tally is not None:
            self._tally.drifted(believed[0].slug, believed[1].name)

    async def _admit_rate(self, tenant: TenantPlan) -> None:
        per_minute = max(MIN_PER_MINUTE, TIMES_EVENTS * tenant.limits.events_per_minute)
        wait_s = await self._limiter.take(f"{tenant.slug}:webhooks", 1, per_minute=per_minute)
        if wait_s:
            raise problem.retry(429, "Too many deliveries at once.", wait_s)

    async def _accept(
        self,
        request: Request,
        believed: list[Candidate],
        gateway: str,
        raw: bytes,
        sales: list[Sale],
        call: ReadBack | None,
    ) -> Answer:
        now_ms = int(self._clock.time() * 1000)
        events: list[Event] = []
        for sale in sales:
            takers = [integration for _, integration in believed if takes(integration, sale)]
            # one secret for several integrations: the delivery does not say whose it is
            if len(takers) > 1:
                raise problem.unauthorized(reason="ambiguous")
            if any(believed[0][0].refuses(taker) for taker in takers):
                raise _suspended(request)
            events += [
                events_from.sale_event(
                    sale,
                    tenant=request.tenant,
                    funnel=taker.funnel,
                    integration=taker.name,
                    received_ms=now_ms,
                    readback=call,
                )
                for taker in takers
            ]
        if len({event.integration for event in events}) == 1:
            request.integration = events[0].integration or ""
        try:
            duplicates = await self._out.put(events)
        except publisher.EventTooLarge:
            return await self._set_aside(
                request, believed, gateway, raw, "a sale is larger than the broker takes"
            )
        answer: dict[str, object] = {"events": list(map(_receipt, events, duplicates))}
        if not all(duplicates) and (
            copy := await self._keep_copy(request, believed, gateway, raw, sales)
        ):
            answer["kept"] = copy  # to be read again when its word is known
        if skipped := len(sales) - len(events):
            answer["skipped"] = skipped  # of products that no integration asked for
        return self._taken_by(gateway, answer)

    def _taken_by(self, gateway: str, answer: dict[str, object]) -> Answer:
        """What the gateway is told of a delivery that was stored, in the status that it wants to
        hear.
        """
        return json_answer(answers.accepted(self._gateways[gateway]), answer)

    async def _keep_copy(
        self,
        request: Request,
        believed: list[Candidate],
        gateway: str,
        raw: bytes,
        sales: list[Sale],
    ) -> str | None:
        """The copy's id.

        It may take no time from the answer: a sender that waits in vain counts a failure.
        """
        integration = request.integration or believed[0][1].name
        keeping = asyncio.ensure_future(
            self._new_words.keep(
                self._gateways[gateway],
                sales,
                tenant=request.tenant,
                integration=integration,
                raw=raw,
            )
        )
        self._copies.add(keeping)
        keeping.add_done_callback(self._copies.discard)
        done, _ = await asyncio.wait({keeping}, timeout=COPY_S)
        return keeping.result() if done else None

    async def _set_aside(
        self, request: Request, believed: list[Candidate], gateway: str, raw: bytes, reason: str
    ) -> Answer:
        self._count_drift(believed[0])
        bucket = f"{believed[0][0].slug}:unreadable"
        if wait_s := await self._limiter.take(bucket, 1, per_minute=UNREADABLE_PER_MINUTE):
            raise problem.retry(429, "Too many deliveries that are not understood.", wait_s)
        try:
            kept = await self._quarantine.keep(
                tenant=request.tenant,
                integration=believed[0][1].name,
                gateway=gateway,
                raw=raw,
                reason=reason,
            )
        except quarantine.CannotKeep:
            raise problem.retry(
                503, "The delivery is not understood and could not be kept.", 30
            ) from None
        log.warning(
            "webhook.quarantined", gateway=gateway, tenant=request.tenant, id=kept, reason=reason
        )
        return self._taken_by(gateway, {"events": [], "quarantined": True, "id": kept})


def _suspended(request: Request) -> problem.Problem:
    request.source = problem.SUSPENDED
    return problem.suspended_gateway()


def _verify(
    gateway: Gateway,
    raw: bytes,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    secret: Mapping[str, str],
) -> bool:
    try:
        return gateway.verify(raw, headers, query, secret)
    except Exception as error:  # a delivery that confuses the check is not believed
        log.error(
            "webhook.verify_fault",
            gateway=gateway.NAME,
            error=type(error).__name__,
            at=where(error),
        )
        return False


def _receipt(event: Event, duplicate: bool) -> dict[str, object]:
    status = event.sale.status if event.sale else None
    return {"id": event.id, "status": status, "duplicate": duplicate}
