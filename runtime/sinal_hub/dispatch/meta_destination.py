"""A destination of Meta, as the outbox sends to it: consent, what a funnel withholds, Meta's rules
and the Conversions API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from sinal_core.aio.clock import WallClock
from sinal_core.outbox.answers import Answer, Verdict
from sinal_core.outbox.ledger import REJECTED
from sinal_core.outbox.ports import Unsendable
from sinal_core.outbox.terms import Terms
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.dispatch.destination_metrics import DestinationMetrics
from sinal_hub.meta import limits, repairs
from sinal_hub.meta.pricing import completed
from sinal_hub.meta.validation import InvalidEvent, check
from sinal_hub.store.delivery_rows import ERASED, Row

# Meta documents 1,000 events as the most of one request, whatever a plan says.
META_MAX_EVENTS = 1_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode

Payload = dict[str, Any]


class Graph(Protocol):
    """Sends one request of server events."""

    async def send(
        self, destination: DestinationPlan, events: Sequence[Mapping[str, Any]]
    ) -> Answer:
        """Send; a failure is an answer too, nothing is raised for one."""
        ...


class MetaDestination:
    """One destination under the plan of now; cheap to make."""

    def __init__(
        self,
        tenant: TenantPlan,
        plan: DestinationPlan,
        *,
        graph: Graph,
        metrics: DestinationMetrics,
        clock: WallClock,
    ) -> None:
        self._tenant, self._plan = tenant, plan
        self._graph, self._clock = graph, clock
        self._funnels = {funnel.name: funnel for funnel in tenant.funnels}
        self.metrics = metrics
        self.terms = terms(plan)

    def withheld(self, entry: Row) -> str | None:
        """Erased persons, and consent as it stands at sending: the event's own word, else the
        current plan's default.
        """
        if entry.payload_json == ERASED:
            return "erased"
        granted = entry.consent_ads
        if granted is None:
            funnel = self._funnels.get(entry.funnel)
            default = self._tenant.consent_default if funnel is None else funnel.consent.default
            granted = default == "Granted"
        return None if granted else "no_consent"

    def payload(self, entry: Row) -> Payload:
        """The event as Meta takes it now; raises Unsendable."""
        try:
            payload = _decode(entry.payload_json)
        except msgspec.MsgspecError as error:
            raise Unsendable(REJECTED, "the stored event is not a JSON object") from error
        funnel = self._funnels.get(entry.funnel)
        if funnel is not None:
            payload = completed(payload, funnel.value)
            if funnel.withheld:
                payload = limits.without(payload, funnel.withheld)
        try:
            checked = check(payload, self._clock.time())
        except InvalidEvent as error:
            raise Unsendable(error.reason, str(error)) from error
        # How data may be processed is the tenant's word at the moment of sending: what waited must
        # not leave under an older one.
        return checked | limits.told(self._plan.data_processing)

    async def send(self, payloads: Sequence[Payload]) -> Answer:
        """One request of the Conversions API."""
        return await self._graph.send(self._plan, payloads)

    def mended(self, payload: Payload, verdict: Verdict) -> Payload | None:
        """The event without the field that Meta blames, where it can do without."""
        if verdict.kind != "data":
            return None
        return repairs.without_culprit(payload, verdict.subcode)


def terms(plan: DestinationPlan) -> Terms:
    """A new token, pixel or version deserves a try at once."""
    return Terms(
        identity=(plan.pixel_id, plan.api_version, plan.access_token),
        requests_per_second=plan.rate_limit.requests_per_second,
        most=max(1, min(plan.batch.max_events, META_MAX_EVENTS)),
        on_doubt=plan.on_doubt,
    )
