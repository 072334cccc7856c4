"""Funnel: pages and sales of one offer, how they are matched and which events they become."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from sinal_crds.models.common import (
    COUNTRY_PATTERN,
    CURRENCY_PATTERN,
    PATTERN_HELP,
    SET,
    LandingHosts,
    Model,
    Name,
    Names,
    Rule,
    unique,
)
from sinal_crds.models.manifest import Manifest, Status
from sinal_crds.plan import ConsentDefault, ReviewPolicy, UnmatchedPolicy, WithheldField

AMOUNT_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
MULTIPLIER_PATTERN = r"^(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)$"
EVENT_NAME_PATTERN = r"^[A-Za-z]([A-Za-z0-9 _-]{0,48}[A-Za-z0-9])?$"
PATTERN_HELP.update(
    {
        AMOUNT_PATTERN: 'write a decimal with at most two places in quotes, such as "97.00"',
        MULTIPLIER_PATTERN: 'write a decimal above zero in quotes, such as "0.5"',
        EVENT_NAME_PATTERN: "use a name of Meta's, your own of at most 50 letters, digits, spaces, "
        "_ and -, or None",
    }
)

NOTHING = "None"
STANDARD_EVENTS: tuple[str, ...] = (
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "Donate",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "PageView",
    "Purchase",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "Subscribe",
    "ViewContent",
)
_EXACT = (*STANDARD_EVENTS, NOTHING)
_LOWER = frozenset(name.lower() for name in _EXACT)

# `click` is missing: a click is evidence for matching, never an event of its own. So is `ignored`.
Trigger = Literal[
    "pageview",
    "view_content",
    "lead",
    "initiate_checkout",
    "pending",
    "overdue",
    "approved",
    "completed",
    "refused",
    "canceled",
    "expired",
    "refund_requested",
    "refunded",
    "partially_refunded",
    "chargeback",
    "chargeback_won",
    "subscription_renewed",
    "subscription_past_due",
    "subscription_canceled",
    "subscription_changed",
]
FunnelType = Literal["DirectSale", "Launch", "Perpetual", "LeadCapture", "Subscription"]


class EventRule(Model):
    """What one fact becomes at Meta."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.send in {list(_EXACT)!r} || !(self.send.lowerAscii() in {sorted(_LOWER)!r})",
            message="differs from a standard event only in its letters' case, which Meta would "
            "count as another event; "
            f"write it as one of {', '.join(_EXACT)}",
            field="send",
            holds=lambda e: e.send in _EXACT or e.send.lower() not in _LOWER,
        ),
    )

    when: Trigger
    """A sale's status, or what a page reported. (Not called `on`: YAML reads that word as true.)"""
    send: Annotated[str, Field(min_length=1, max_length=50, pattern=EVENT_NAME_PATTERN)]
    """A standard event of Meta, an event name of your own, or `None` for nothing."""


def _one_rule_each(items: list[EventRule]) -> list[EventRule]:
    seen: set[str] = set()
    for item in items:
        if item.when in seen:
            raise PydanticCustomError("duplicate", "{key!r} is listed twice", {"key": item.when})
        seen.add(item.when)
    return items


_EVENT_LIST: dict[str, Any] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["when"],
}
EventRules = Annotated[
    list[EventRule],
    Field(max_length=20, json_schema_extra=_EVENT_LIST),
    AfterValidator(_one_rule_each),
]


Country = Annotated[str, Field(min_length=2, max_length=2, pattern=COUNTRY_PATTERN)]
Countries = Annotated[
    list[Country], Field(max_length=250, json_schema_extra=SET), AfterValidator(unique)
]


def _each_once(items: list[WithheldField]) -> list[WithheldField]:
    unique(list(items))
    return items


WithheldFields = Annotated[
    list[WithheldField], Field(max_length=32, json_schema_extra=SET), AfterValidator(_each_once)
]


class MatchingPolicy(Model):
    """How a sale finds its click."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.reviewThreshold < self.matchThreshold",
            message="must be below matchThreshold; lower it, or raise matchThreshold",
            field="reviewThreshold",
            holds=lambda m: m.review_threshold < m.match_threshold,
        ),
        Rule(
            cel="self.viewWindowHours <= self.clickWindowHours",
            message="must not exceed clickWindowHours; lower it, or raise clickWindowHours",
            field="viewWindowHours",
            holds=lambda m: m.view_window_hours <= m.click_window_hours,
        ),
    )

    click_window_hours: Annotated[int, Field(ge=1, le=2160)] = 168
    """Hours after a click in which a sale can be its consequence."""
    view_window_hours: Annotated[int, Field(ge=1, le=2160)] = 24
    """The same for a page view without a click."""
    match_threshold: Annotated[float, Field(ge=0.01, le=1)] = 0.85
    """Score from which a sale and a click belong together."""
    review_threshold: Annotated[float, Field(ge=0, le=1)] = 0.60
    """Score from which they may; below it the sale is unmatched."""
    review: ReviewPolicy = "Send"
    """Between the thresholds: `Send` flagged, or `Hold` for a person."""
    unmatched: UnmatchedPolicy = "Send"
    """Below them: `Send` without click data, or `Drop`."""
    wait_for_click_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Seconds an unmatched sale waits for a click that arrives late before `unmatched` applies."""


class FunnelConsent(Model):
    """Consent on this funnel's pages."""

    default: ConsentDefault | None = None
    """What holds where an event says nothing. Default: the tenant's."""
    cookies_before_consent: bool = True
    """Whether the tracker may set its cookies before the visitor consents."""
    required_in: Countries = Field(default_factory=list)
    """Countries whose visitors have not consented until they say so, whatever `default` and
    `cookiesBeforeConsent` say: two capital letters each, such as DE. The platform's setting
    SINAL_COUNTRY_HEADER names the header of its proxy that tells a visitor's country; without one
    these countries are not known, and `default` counts."""


class ValuePolicy(Model):
    """How a sale's value becomes the value Meta is told."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.source != 'Fixed' || has(self.fixed)",
            message="is required with source Fixed; set the amount",
            field="fixed",
            holds=lambda v: v.source != "Fixed" or v.fixed is not None,
        ),
        Rule(
            cel="!has(self.fixed) || self.source == 'Fixed'",
            message="has no effect with source Sale; set source to Fixed, or leave the amount out",
            field="fixed",
            holds=lambda v: v.fixed is None or v.source == "Fixed",
        ),
        Rule(
            cel="!has(self.fixed) || has(self.currency)",
            message="goes together with fixed; set both or neither",
            field="currency",
            holds=lambda v: v.fixed is None or v.currency is not None,
        ),
    )

    source: Literal["Sale", "Fixed"] = "Sale"
    """`Sale`: what the buyer paid. `Fixed`: always the same amount."""
    fixed: Annotated[str, Field(min_length=1, max_length=12, pattern=AMOUNT_PATTERN)] | None = None
    """The amount, as a decimal in quotes; with `currency`."""
    currency: Annotated[str, Field(min_length=3, max_length=3, pattern=CURRENCY_PATTERN)] | None = (
        None
    )
    """Currency of `fixed`; with source Sale, of sales and page events whose value names none."""
    multiplier: Annotated[str, Field(min_length=1, max_length=10, pattern=MULTIPLIER_PATTERN)] = "1"
    """Share of the value that Meta is told, as a decimal in quotes: "0.5" sends half (your
    margin)."""


class FunnelSpec(Model):
    """An offer's pages, sales and rules."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(cel="self.tenantRef == oldSelf.tenantRef", message="is immutable", field="tenantRef"),
    )

    tenant_ref: Name
    """Name of the Tenant, in the same namespace, that owns it. Immutable: what was collected stays
    with its tenant."""
    type: FunnelType = "DirectSale"
    """What kind of funnel it is, for reports."""
    landing_hosts: LandingHosts = Field(default_factory=list)
    """Hosts whose pages may send events with the funnel's public key, such as loja.example or
    *.loja.example."""
    destination_refs: Names = Field(default_factory=list)
    """Names of Destinations, of the same tenant, that get its conversions."""
    matching: MatchingPolicy = MatchingPolicy()
    """Windows, thresholds and policies of matching."""
    events: EventRules = Field(default_factory=list)
    """What is sent for which fact, where it differs from the default: approved and
    subscription_renewed Purchase, initiate_checkout InitiateCheckout, lead Lead, pending
    AddPaymentInfo, pageview PageView, view_content ViewContent, nothing for the rest. One Purchase
    per order for ever, whatever arrives."""
    renewals: Literal["Send", "Skip"] = "Send"
    """Whether a subscription's renewal is sent as a Purchase too."""
    free_orders: Literal["Send", "Skip"] = "Skip"
    """Whether an order that cost nothing (a coupon of 100 %, a gift, an exchange) is sent as a
    Purchase too. Bidding by value and the return on ad spend suffer from those."""
    consent: FunnelConsent = FunnelConsent()
    """Consent on this funnel's pages, where it differs from the tenant's."""
    value: ValuePolicy = ValuePolicy()
    """How the value that Meta is told comes about."""
    withhold: WithheldFields = Field(default_factory=list)
    """Fields that no event of the funnel takes to Meta, by Meta's names, for offers of health,
    religion and other sensitive matters. `custom_data.*` is all of it but value and currency.
    Without `event_source_url` or `client_user_agent` an event is sent as `system_generated`."""
    suspended: bool = False
    """Takes no events: pages and servers are answered 403, its gateways 503, so that they deliver
    again. What was accepted before goes on."""


class FunnelStatus(Status):
    """What the operator saw."""

    public_key: str | None = None
    """Key (fk_…) that the tracker script is called with."""
    also_taken: str | None = None
    """Which other keys are taken too, and until when: after the platform's mint key was rotated."""
    events_24h: Annotated[int | None, Field(alias="events24h")] = None
    """Events accepted in the last 24 hours."""
    match_percent: float | None = None
    """Sales of the last 24 hours that were matched to a click, in percent."""
    last_event: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When the last event came in."""


class Funnel(Manifest):
    """Pages and sales of one offer, how they are matched and which events they become."""

    kind: Literal["Funnel"]
    spec: FunnelSpec
    status: FunnelStatus | None = None
