"""What becomes of a delivery: whose it is, what it says, which events come of it.

Nothing here waits. `Acceptance.believe` finds the integrations whose secret the delivery proves,
`Acceptance.read` asks the gateway's module what it says, `accept` makes the events. A refusal is a
Problem. Every way of not being believed ends in the same answer after the same work.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from sinal_core.http import problem
from sinal_core.http.exchange import Request
from sinal_core.plans.snapshot import sha256
from sinal_core.telemetry.places import where
from sinal_crds.plan import IntegrationPlan, TenantPlan
from sinal_hub.gateways import Gateway, NotThisGateway, is_test, text
from sinal_hub.ingest.http import mount
from sinal_hub.ingest.webhooks import refusals
from sinal_hub.intake import events_from
from sinal_hub.intake.ports import Plans
from sinal_hub.model.events import Event
from sinal_hub.model.readback import ReadBack, ReadsBack
from sinal_hub.model.sale import MalformedSale, Sale, checked, marked_test

log = structlog.get_logger(__package__)


class Candidate(NamedTuple):
    """An integration that a delivery may be from."""

    tenant: TenantPlan
    integration: IntegrationPlan


class Believed(NamedTuple):
    """A delivery that is genuine, and whose."""

    gateway: Gateway
    of: list[Candidate]  # at least one; more where one secret is that of several

    @property
    def tenant(self) -> TenantPlan:
        """Whose it is; all integrations are of one tenant."""
        return self.of[0].tenant

    @property
    def integration(self) -> IntegrationPlan:
        """For which that is kept which nobody understands."""
        return self.of[0].integration


class Understood(NamedTuple):
    """What a delivery says."""

    raw: bytes  # in UTF-8
    sales: list[Sale]
    call: ReadBack | None  # to the gateway's API, that a notice without a sale needs


class NotUnderstood(NamedTuple):
    """A delivery to be kept until it can be read."""

    raw: bytes
    reason: str


class Acceptance:
    """The rules that need the plans and the gateways' modules."""

    def __init__(self, *, plans: Plans, gateways: Mapping[str, Gateway]) -> None:
        self._plans = plans
        self._gateways = gateways
        # Asked once: whether a module fits a protocol is looked for member by member.
        self._readers = {
            name: gateway for name, gateway in gateways.items() if isinstance(gateway, ReadsBack)
        }
        self._decoy = secrets.token_hex(16)

    def believe(
        self,
        request: Request,
        slug: str | None,
        name: str,
        token: str | None,
        raw: bytes,
        proof: refusals.Proof,
    ) -> Believed:
        """Whose delivery it is, noted on the request; raises Problem 401, 404 or 503."""
        gateway = self._gateways.get(name)
        if gateway is None:
            if self._is_awaited(name, token):
                detail = "This edge has no adapter of that gateway: install its package."
                raise problem.retry(503, detail, 60, reason="no_adapter")
            raise problem.unauthorized()
        found = self._believed(request, slug, gateway, name, token, raw, proof)
        if not found:
            raise problem.unauthorized()
        shown = found[0].integration
        if (
            token is not None
            and shown.earlier_tokens_sha256
            and sha256(token) != shown.token_sha256
        ):
            request.earlier = ("webhook-token", shown.name)
        if all(tenant.refuses(integration) for tenant, integration in found):
            raise _suspended(request)
        return Believed(gateway, found)

    def read(
        self, request: Request, name: str, believed: Believed, raw: bytes
    ) -> Understood | NotUnderstood:
        """What a delivery says; a module's fault must not cost it."""
        gateway, tenant = believed.gateway, believed.tenant
        # what was proven is read; the rest is UTF-8
        raw = text.transcoded(raw, request.headers.get("content-type", ""))
        try:
            sales = checked(gateway.parse(raw, country=tenant.country))
            sales = marked_test(sales) if is_test(gateway, request.headers) else sales
            return Understood(raw, sales, self._call(name, raw, request))
        except NotThisGateway as error:
            return NotUnderstood(raw, str(error))
        except MalformedSale as error:
            log.error("webhook.adapter_fault", gateway=name, error=str(error))
            return NotUnderstood(raw, f"adapter fault: {error}")
        except Exception as error:
            kind = type(error).__name__
            # while the exception is handled: error reports take it from there
            log.error(
                "webhook.adapter_fault",
                tenant=tenant.slug,
                gateway=name,
                error=kind,
                at=where(error),
            )
            return NotUnderstood(raw, f"adapter fault: {kind}")

    def _believed(
        self,
        request: Request,
        slug: str | None,
        gateway: Gateway,
        name: str,
        token: str | None,
        raw: bytes,
        proof: refusals.Proof,
    ) -> list[Candidate]:
        """The integrations that this delivery is from: one by token, or those of the host whose
        secret it knows.
        """

        def check(secret: Mapping[str, str]) -> bool:
            return _verify(gateway, raw, proof.headers, proof.query, secret)

        try:
            found = self._candidates(request, slug, gateway, token)
        except problem.Problem:
            check(self._decoy_of(gateway))
            raise
        candidates = [candidate for candidate in found if candidate.integration.gateway == name]
        if not candidates:
            check(self._decoy_of(gateway))  # an unknown token costs what a bad signature costs
            return []
        _note(request, candidates)
        unusable = [
            i for _, i in candidates if not all(map(i.credentials.get, gateway.SECRET_KEYS))
        ]
        if len(unusable) == len(candidates):
            detail = "The integration's credentials are missing: see its status."
            raise problem.retry(503, detail, 60, reason="no_credentials")
        believed = [one for one in candidates if check(one.integration.credentials)]
        # what is not understood is kept for the first
        return sorted(believed, key=lambda one: one.tenant.refuses(one.integration))

    def _is_awaited(self, name: str, token: str | None) -> bool:
        """Whether the plan has this very URL: then the sender must come again until the package is
        installed.
        """
        found = self._by_token(token) if token else None
        return found is not None and found.integration.gateway == name

    def _by_token(self, token: str | None) -> Candidate | None:
        if token is None or len(token) > mount.MAX_CREDENTIAL:
            return None
        found = self._plans.snapshot.by_token(token)
        return None if found is None else Candidate(*found)

    def _candidates(
        self, request: Request, slug: str | None, gateway: Gateway, token: str | None
    ) -> Sequence[Candidate]:
        found = self._by_token(token)
        if found is not None and slug in (None, found.tenant.slug):
            # a right token is a better proof than the host that a sender was told to call
            return [found]
        tenant, own_host = mount.place(self._plans.snapshot, request, slug)
        if token is not None:
            return []
        if tenant is None:
            raise problem.unknown_tenant()
        if not own_host or not gateway.AUTHENTICATES:
            return []
        return [Candidate(tenant, integration) for integration in tenant.integrations]

    def _decoy_of(self, gateway: Gateway) -> dict[str, str]:
        return dict.fromkeys(gateway.SECRET_KEYS, self._decoy)

    def _call(self, name: str, raw: bytes, request: Request) -> ReadBack | None:
        """The call to the gateway's API that a notice without a sale needs.

        It is made later, by the match role.
        """
        reader = self._readers.get(name)
        return reader.readback(raw, request.headers, request.appended_query) if reader else None


def accept(
    request: Request, believed: Believed, understood: Understood, *, now_ms: int
) -> list[Event]:
    """The events of a delivery; fewer than its sales where no integration asked for a product.

    Raises Problem 401 where it does not say whose a sale is, 503 where that one is suspended.
    """
    events: list[Event] = []
    for sale in understood.sales:
        takers = [one for _, one in believed.of if events_from.takes(one, sale)]
        # one secret for several integrations: the delivery does not say whose it is
        if len(takers) > 1:
            raise problem.unauthorized(reason="ambiguous")
        if any(believed.tenant.refuses(taker) for taker in takers):
            raise _suspended(request)
        events += [
            events_from.sale_event(
                sale,
                tenant=request.tenant,
                funnel=taker.funnel,
                integration=taker.name,
                received_ms=now_ms,
                readback=understood.call,
            )
            for taker in takers
        ]
    if len({event.integration for event in events}) == 1:
        request.integration = events[0].integration or ""
    return events


def _note(request: Request, candidates: Sequence[Candidate]) -> None:
    request.tenant = candidates[0].tenant.slug
    if len(candidates) == 1:
        request.integration = candidates[0].integration.name


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
