"""The compiled plan of one tenant: the only way configuration reaches the runtime.

Plans are data, not objects of a cluster: `compile.compile()` makes them, `sealing` hides their
secrets, the provisioner puts them into the KV bucket, the runtime swaps them in whole.
`PLAN_VERSION` rises when a field changes its meaning; a runtime refuses a plan of a version it does
not know and keeps the one it has.
"""

from __future__ import annotations

from typing import Literal

import msgspec

PLAN_VERSION = 1

OnDoubt = Literal["Retry", "Park"]
ReviewPolicy = Literal["Send", "Hold"]
UnmatchedPolicy = Literal["Send", "Drop"]
ConsentDefault = Literal["Granted", "Denied"]
# What a funnel may keep from Meta, by Meta's own names; `custom_data.*` is all of it but value and
# currency.
WithheldField = Literal[
    "event_source_url",
    "referrer_url",
    "em",
    "ph",
    "fn",
    "ln",
    "ct",
    "st",
    "zp",
    "country",
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "content_name",
    "content_ids",
    "content_type",
    "contents",
    "num_items",
    "order_id",
    "payment_method",
    "renewal",
    "custom_data.*",
]


class Frozen(msgspec.Struct, frozen=True):
    """Base of every part of a plan: immutable."""


class Limits(Frozen, frozen=True, kw_only=True):
    """What a tenant may use."""

    events_per_minute: int = 60_000
    max_bytes: int = 1 << 30  # of the tenant's stream
    max_age_s: int = 7 * 86_400  # an event older than that could not be sent to Meta anyway
    retention_days: int = 90  # matching data


class BatchPlan(Frozen, frozen=True, kw_only=True):
    """When a destination's batch leaves: whichever comes first."""

    max_events: int = 200  # 1..1000, Meta's limit
    max_age_ms: int = 5_000


class RateLimit(Frozen, frozen=True, kw_only=True):
    """Pacing of one destination; None leaves it to Meta's own usage headers."""

    requests_per_second: float | None = None
    concurrency: int = 4


class DataProcessing(Frozen, frozen=True, kw_only=True):
    """Meta's Limited Data Use: how it may use events of people in the US.

    Country and state 0: Meta locates them.
    """

    options: tuple[str, ...] = ()  # empty: Meta is told that there is no limit
    country: int = 0
    state: int = 0


class DestinationPlan(Frozen, frozen=True, kw_only=True):
    """One pixel or dataset and how to talk to it."""

    name: str
    pixel_id: str
    api_version: str = "v26.0"
    access_token: str = ""  # sealed in transit; empty when the Secret is missing (see `problem`)
    test_event_code: str | None = None
    batch: BatchPlan = BatchPlan()
    rate_limit: RateLimit = RateLimit()
    on_doubt: OnDoubt = "Retry"
    data_processing: DataProcessing | None = None  # None: events say nothing of it
    problem: str | None = None  # why it can't be used now, for a person; None when it can
    suspended: bool = False

    def __repr__(self) -> str:
        """Without the token: plans end up in logs and tracebacks."""
        return (
            f"DestinationPlan(name={self.name!r}, pixel_id={self.pixel_id!r}, "
            f"problem={self.problem!r})"
        )


class MatchingPlan(Frozen, frozen=True, kw_only=True):
    """Windows, thresholds and policies of a funnel's matching."""

    click_window_s: int = 7 * 86_400
    view_window_s: int = 86_400
    match_threshold: float = 0.85
    review_threshold: float = 0.60
    review: ReviewPolicy = "Send"
    unmatched: UnmatchedPolicy = "Send"
    # how long an unmatched sale waits for a late click before `unmatched` applies
    wait_for_click_s: int = 0


class ConsentPlan(Frozen, frozen=True, kw_only=True):
    """What the absence of `consent_ads` on an event means, and whether the tracker sets cookies
    before consent.
    """

    default: ConsentDefault = "Granted"
    cookies_before_consent: bool = True
    # ISO alpha-2: visitors from there have not consented until they say so
    required_in: tuple[str, ...] = ()


class ValuePlan(Frozen, frozen=True, kw_only=True):
    """How a sale's value becomes Meta's value."""

    source: Literal["Sale", "Fixed"] = "Sale"
    fixed: str | None = None  # decimal string, with `currency`
    currency: str | None = None  # of `fixed`, or of a value that names none
    multiplier: str = "1"  # decimal string: 0.5 sends half of the value (margin), 1 all of it


class FunnelPlan(Frozen, frozen=True, kw_only=True):
    """One funnel: its public face, its destinations and its rules."""

    name: str
    type: str
    public_key: str  # fk_…, in browsers
    server_key_sha256: str  # hex of sk_…
    # Of mint keys that were replaced and are not retired: taken too.
    earlier_public_keys: tuple[str, ...] = ()
    earlier_server_keys_sha256: tuple[str, ...] = ()
    landing_hosts: tuple[str, ...] = ()  # host names, "*.example.com" allowed
    destinations: tuple[str, ...] = ()
    matching: MatchingPlan = MatchingPlan()
    # sale status or tracking kind -> Meta event name; defaults are already merged in, absent means
    # nothing is sent
    events: dict[str, str] = {}
    send_renewals: bool = True
    send_free_orders: bool = False
    consent: ConsentPlan = ConsentPlan()
    value: ValuePlan = ValuePlan()
    withheld: tuple[WithheldField, ...] = ()  # fields that no event takes to Meta
    suspended: bool = False


class IntegrationPlan(Frozen, frozen=True, kw_only=True):
    """One payment gateway's account, posting to one funnel."""

    name: str
    gateway: str
    funnel: str
    token_sha256: str  # hex of the unguessable segment of its webhook URL
    # of mint keys that were replaced and are not retired: taken too
    earlier_tokens_sha256: tuple[str, ...] = ()
    credentials: dict[str, str] = {}  # sealed in transit; keys as the gateway module's SECRET_KEYS
    products: tuple[str, ...] = ()  # product ids to accept; empty: all
    problem: str | None = None
    suspended: bool = False

    def __repr__(self) -> str:
        """Without the credentials."""
        return (
            f"IntegrationPlan(name={self.name!r}, gateway={self.gateway!r}, "
            f"problem={self.problem!r})"
        )


class TenantPlan(Frozen, frozen=True, kw_only=True):
    """Everything the runtime knows of one tenant."""

    version: int = PLAN_VERSION
    slug: str
    namespace: str
    name: str
    uid: str  # owner of the tenant's stream; from files: derived from namespace and name
    heir_of: str = ""  # name of the Tenant, of the same namespace, whose queue and rows are its own
    country: str = "BR"
    timezone: str = "America/Sao_Paulo"
    suspended: bool = False
    hosts: tuple[str, ...] = ()  # first-party hosts of ingest
    limits: Limits = Limits()
    consent_default: ConsentDefault = "Granted"
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    destinations: tuple[DestinationPlan, ...] = ()
    funnels: tuple[FunnelPlan, ...] = ()
    integrations: tuple[IntegrationPlan, ...] = ()

    def destination(self, name: str) -> DestinationPlan | None:
        """The destination of that name, or None."""
        return next((d for d in self.destinations if d.name == name), None)

    def funnel(self, name: str) -> FunnelPlan | None:
        """The funnel of that name, or None."""
        return next((f for f in self.funnels if f.name == name), None)

    def integration(self, name: str) -> IntegrationPlan | None:
        """The integration of that name, or None."""
        return next((i for i in self.integrations if i.name == name), None)

    def shuts(self, funnel: FunnelPlan) -> bool:
        """Whether nothing is taken for it: the tenant or it is suspended."""
        return self.suspended or funnel.suspended

    def refuses(self, integration: IntegrationPlan) -> bool:
        """Whether none of its deliveries is taken: the tenant, it or its funnel is suspended."""
        funnel = self.funnel(integration.funnel)
        return self.suspended or integration.suspended or (funnel is not None and funnel.suspended)

    def rests(self, destination: DestinationPlan) -> bool:
        """Whether nothing is sent to it: the tenant or it is suspended."""
        return self.suspended or destination.suspended


# Sale status or tracking kind -> Meta event, where the funnel says nothing (design: "Sale status to
# Meta event").
DEFAULT_EVENTS: dict[str, str] = {
    "approved": "Purchase",
    "subscription_renewed": "Purchase",
    "initiate_checkout": "InitiateCheckout",
    "lead": "Lead",
    "pending": "AddPaymentInfo",
    "pageview": "PageView",
    "view_content": "ViewContent",
}
