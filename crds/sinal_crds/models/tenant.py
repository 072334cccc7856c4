"""Tenant: one customer of the platform, owner of a stream, of limits and of everything that refers
to it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sinal_crds.models.common import COUNTRY_PATTERN, TIMEZONE_PATTERN, Hosts, Model, Rule
from sinal_crds.models.manifest import Manifest, Status
from sinal_crds.names import SLUG_PATTERN
from sinal_crds.plan import ConsentDefault

# SLUG_PATTERN says the same; the rule on metadata.name needs it as a number
_SLUG_LENGTH = 40


class TenantLimits(Model):
    """What the tenant may use."""

    events_per_minute: Annotated[int, Field(ge=1, le=10_000_000)] = 60_000
    """Accepted events a minute; above it senders are answered 429 with Retry-After."""
    max_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 1 << 30
    """Size in bytes of the tenant's queue. When it is full, senders are answered 429 instead of
    losing older events."""
    max_age_hours: Annotated[int, Field(ge=1, le=720)] = 168
    """Hours an event may wait in the queue. Meta takes no event older than 7 days (168 h)."""
    retention_days: Annotated[int, Field(ge=1, le=1095)] = 90
    """Longest time in days that matching data is kept."""


class TenantIngest(Model):
    """Where the tenant's events come in, beside the shared host."""

    hosts: Hosts = Field(default_factory=list)
    """First-party hosts, such as track.loja.example, that point to Sinal. A host belongs to one
    tenant only."""


class TenantConsent(Model):
    """What holds where an event says nothing about consent."""

    default: ConsentDefault = "Granted"
    """`Granted` sends events without `consent_ads` to Meta, `Denied` withholds them. A funnel may
    say otherwise."""


class TenantPrivacy(Model):
    """How long personal data, which is stored only as hashes, is kept."""

    retention_days: Annotated[int, Field(ge=1, le=1095)] | None = None
    """Days; at most `plan.retentionDays`, which is the default."""


class TenantSpec(Model):
    """What a tenant is and may do."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.privacy.retentionDays) || self.privacy.retentionDays <= "
            "self.plan.retentionDays",
            message="must not exceed plan.retentionDays; lower it, or raise the plan's",
            field="privacy.retentionDays",
            holds=lambda s: (s.privacy.retention_days or 0) <= s.plan.retention_days,
        ),
    )

    slug: (
        Annotated[str, Field(min_length=1, max_length=_SLUG_LENGTH, pattern=SLUG_PATTERN)] | None
    ) = None
    """Short name in URLs, queues and tables; unique in the cluster, immutable. Default: the
    object's name."""
    plan: TenantLimits = TenantLimits()
    """Limits of traffic and storage."""
    ingest: TenantIngest = TenantIngest()
    """The tenant's own hosts."""
    consent: TenantConsent = TenantConsent()
    """Consent where an event says nothing."""
    privacy: TenantPrivacy = TenantPrivacy()
    """Retention of personal data."""
    country: Annotated[str, Field(min_length=2, max_length=2, pattern=COUNTRY_PATTERN)] = "BR"
    """Country of buyers who do not name one; it decides how phones and postcodes are read."""
    timezone: Annotated[str, Field(min_length=1, max_length=64, pattern=TIMEZONE_PATTERN)] = (
        "America/Sao_Paulo"
    )
    """IANA time zone of reports and of days in limits."""
    suspended: bool = False
    """Takes and sends no events: pages and servers are answered 403, gateways 503, so that they
    deliver again. What waits to be sent leaves as soon as this is false again."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """What happens to the queue and the data when the Tenant is deleted."""


class TenantStatus(Status):
    """What the operator saw."""

    stream: str | None = None
    """Name of the tenant's JetStream stream."""
    backlog: int | None = None
    """Events waiting to be matched or sent."""
    events_24h: Annotated[int | None, Field(alias="events24h")] = None
    """Events accepted in the last 24 hours."""
    match_percent: float | None = None
    """Sales of the last 24 hours that were matched to a click, in percent."""
    last_event: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When the last event came in."""
    plan_hash: str | None = None
    """Hash of the compiled plan that the runtime was given."""


class Tenant(Manifest):
    """One customer of the platform: its limits, its hosts, its privacy rules."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"has(self.spec.slug) || size(self.metadata.name) <= {_SLUG_LENGTH}",
            message=f"is required where metadata.name, its default, is longer than {_SLUG_LENGTH} "
            "characters; set it",
            field="spec.slug",
            holds=lambda t: t.spec.slug is not None or len(t.metadata.name) <= _SLUG_LENGTH,
        ),
        Rule(
            cel="(has(self.spec.slug) ? self.spec.slug : self.metadata.name)"
            " == (has(oldSelf.spec.slug) ? oldSelf.spec.slug : oldSelf.metadata.name)",
            message="is immutable; create another Tenant for another slug",
            field="spec.slug",
        ),
    )

    kind: Literal["Tenant"]
    spec: TenantSpec = TenantSpec()
    status: TenantStatus | None = None

    @property
    def slug(self) -> str:
        """The slug in force: declared, or the object's name."""
        return self.spec.slug or self.metadata.name
