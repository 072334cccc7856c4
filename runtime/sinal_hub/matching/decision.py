"""From a score and the funnel's rules to what happens with an event: send, wait or withhold, each
with its reason.

Every rule that stops an event is here and has one stable word; nothing else in the runtime decides
about sending.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sinal_crds.plan import FunnelPlan, IntegrationPlan, MatchingPlan, TenantPlan
from sinal_hub.model.events import Event
from sinal_hub.model.sale import SaleDetails

Decision = Literal["match", "review", "unmatched"]
Action = Literal["send", "wait", "withhold"]
Reason = Literal[
    "no_consent",
    "duplicate",
    "policy",
    "test",
    "ignored",
    "out_of_order",
    "unmatched",
    "review",
    "suspended",
    "no_destination",
    "unidentifiable",
    "crawler",
]


class Verdict(msgspec.Struct, frozen=True):
    """What happens with one event now; `event_name` is Meta's, for events that are sent or wait."""

    action: Action
    reason: Reason | None = None
    event_name: str = ""
    consent: bool | None = None


def withhold(reason: Reason) -> Verdict:
    """Nothing goes to Meta, for this reason."""
    return Verdict("withhold", reason)


def decide(score: float, plan: MatchingPlan) -> Decision:
    """Match, review or unmatched by the funnel's thresholds."""
    if score >= plan.match_threshold:
        return "match"
    return "review" if score >= plan.review_threshold else "unmatched"


def uses_click(decision: Decision, plan: MatchingPlan) -> bool:
    """Whether the click's data goes to Meta with the sale."""
    return decision == "match" or (decision == "review" and plan.review == "Send")


def set_aside(
    sale: SaleDetails, funnel: FunnelPlan | None, integration: IntegrationPlan | None
) -> Verdict | None:
    """Sales that are recorded but touch no order: test button, notices, unknown funnels, products
    of another funnel.

    One that names no product is not set aside for that: see `follows`.
    """
    if sale.test:
        return withhold("test")
    if sale.status == "ignored":
        return withhold("ignored")
    if funnel is None or (integration is not None and not _accepted(sale, integration)):
        return withhold("policy")
    return None


def _accepted(sale: SaleDetails, integration: IntegrationPlan) -> bool:
    named = _named(sale)
    return not integration.products or not named or not named.isdisjoint(integration.products)


def follows(sale: SaleDetails, integration: IntegrationPlan | None) -> bool:
    """Whether only its order can tell that a sale is this integration's: products decide, and it
    names none.

    Refunds of some gateways (Stripe, PushinPay) are of that kind.
    """
    return integration is not None and bool(integration.products) and not _named(sale)


def _named(sale: SaleDetails) -> set[str]:
    return {product.id for product in sale.products if product.id}


def sale_rules(tenant: TenantPlan, funnel: FunnelPlan, event: Event) -> Verdict:
    """The rules of a sale that no click can change."""
    sale = event.sale
    assert sale is not None  # noqa: S101 - callers pass sales
    name = funnel.events.get(sale.status)
    # Gateways tell of a renewal by a status of its own, or by an approval that is marked as one.
    renewal = sale.renewal or sale.status == "subscription_renewed"
    if name is None or (renewal and not funnel.send_renewals):
        return withhold("policy")
    if name == "Purchase" and not funnel.send_free_orders and _is_free(event):
        return withhold("policy")
    return _common_rules(tenant, funnel, event, name)


def _is_free(event: Event) -> bool:
    """Whether nothing was paid; a sale whose value is not told may have cost something."""
    return event.value is not None and not event.value.strip("0.")


def visit_rules(tenant: TenantPlan, funnel: FunnelPlan | None, event: Event) -> Verdict:
    """The rules of a tracking event; a click is recorded for matching and never sent."""
    if event.crawler:
        return withhold("crawler")
    name = None if funnel is None or event.kind == "click" else funnel.events.get(event.kind)
    if funnel is None or name is None:
        return withhold("policy")
    verdict = _common_rules(tenant, funnel, event, name)
    return (
        verdict
        if verdict.action == "withhold"
        else consent_rules(
            funnel, verdict, event.consent_ads, None, required=event.consent_required
        )
    )


def _common_rules(tenant: TenantPlan, funnel: FunnelPlan, event: Event, name: str) -> Verdict:
    if tenant.suspended:
        return withhold("suspended")
    # Only the event's own no counts here. Its silence is judged by `consent_rules`, when the click
    # and its consent are known.
    if event.consent_ads is False:
        return withhold("no_consent")
    if not destinations(tenant, funnel):
        return withhold("no_destination")
    return Verdict("send", None, name)


def destinations(tenant: TenantPlan, funnel: FunnelPlan) -> list[str]:
    """Destinations of the funnel that the tenant has.

    One that can't be used now still keeps its events for later.
    """
    return [
        name for name in dict.fromkeys(funnel.destinations) if tenant.destination(name) is not None
    ]


def match_rules(
    verdict: Verdict, decision: Decision, plan: MatchingPlan, *, may_wait: bool
) -> Verdict:
    """What the match makes of a sale that its own rules let through."""
    # Waiting goes before the policy: the click may still come, and with it another decision.
    if decision == "unmatched" and may_wait and plan.wait_for_click_s > 0:
        return msgspec.structs.replace(verdict, action="wait")
    if decision == "unmatched" and plan.unmatched == "Drop":
        return withhold("unmatched")
    if decision == "review" and plan.review == "Hold":
        return withhold("review")
    return verdict


def consent_rules(
    funnel: FunnelPlan,
    verdict: Verdict,
    said: bool | None,
    click_said: bool | None,
    *,
    required: bool = False,
) -> Verdict:
    """The event's own word, else the click's, else the funnel's default.

    Where it is `required`, silence is a no.
    """
    consent = said if said is not None else click_said
    granted = (
        consent if consent is not None else funnel.consent.default == "Granted" and not required
    )
    return msgspec.structs.replace(verdict, consent=consent) if granted else withhold("no_consent")
