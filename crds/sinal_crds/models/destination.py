"""Destination: one Meta pixel or dataset, its access token and how fast it may be written to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sinal_crds.models.common import (
    PATTERN_HELP,
    SECRET_KEY_PATTERN,
    SET,
    Model,
    Name,
    Rule,
    SecretReference,
)
from sinal_crds.models.manifest import Manifest, Status
from sinal_crds.plan import OnDoubt

PIXEL_PATTERN = r"^[0-9]{5,20}$"
API_VERSION_PATTERN = r"^v[1-9][0-9]\.[0-9]$"
TEST_CODE_PATTERN = r"^TEST[A-Za-z0-9_]{1,40}$"
NEWEST_GRAPH_VERSION = "v26.0"

PATTERN_HELP.update(
    {
        PIXEL_PATTERN: "write the 5 to 20 digits of the pixel or dataset, in quotes",
        API_VERSION_PATTERN: f"write a version of the Graph API such as {NEWEST_GRAPH_VERSION}",
        TEST_CODE_PATTERN: "copy the code from the tab Test Events, such as TEST12345, or leave it "
        "out",
    }
)


class SecretKeyReference(SecretReference):
    """One key of a Secret of the same namespace."""

    key: Annotated[str, Field(min_length=1, max_length=253, pattern=SECRET_KEY_PATTERN)] = (
        "accessToken"
    )
    """Key in the Secret's data."""


class DataProcessingOptions(Model):
    """Meta's data processing options: Limited Data Use for people in the US."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.options) && size(self.options) > 0) || (self.country == 0 && self.state "
            "== 0)",
            message="has no effect without an option; set options to [LDU], or leave country and "
            "state out",
            field="country",
            holds=lambda d: bool(d.options) or (d.country == 0 and d.state == 0),
        ),
        Rule(
            cel="self.state == 0 || self.state >= 1000",
            message="is Meta's number of a US state, 1000 for California to 1013; write 0 where "
            "Meta shall find out",
            field="state",
            holds=lambda d: d.state == 0 or d.state >= 1000,
        ),
        Rule(
            cel="(self.country == 0) == (self.state == 0)",
            message="goes together with country; set both (country 1 is the US), or neither: Meta "
            "finds out by address",
            field="state",
            holds=lambda d: (d.country == 0) == (d.state == 0),
        ),
    )

    options: Annotated[list[Literal["LDU"]], Field(max_length=1, json_schema_extra=SET)] | None = (
        None
    )
    """`[LDU]` limits what Meta does with the data; an empty list tells Meta that nothing is
    limited. Default: events say nothing of it, which limits nothing either."""
    country: Annotated[int, Field(ge=0, le=1)] = 0
    """1 for the US; 0: Meta finds out by the visitor's address."""
    state: Annotated[int, Field(ge=0, le=1013)] = 0
    """Meta's number of the state, such as 1000 for California; 0: Meta finds out."""


class MetaTarget(Model):
    """The pixel or dataset and how to reach it."""

    pixel_id: Annotated[str, Field(min_length=5, max_length=20, pattern=PIXEL_PATTERN)]
    """Id of the pixel or dataset: 5 to 20 digits, in quotes."""
    access_token_secret_ref: SecretKeyReference
    """Where the access token is."""
    api_version: Annotated[str, Field(min_length=5, max_length=5, pattern=API_VERSION_PATTERN)] = (
        NEWEST_GRAPH_VERSION
    )
    """Version of the Graph API."""
    test_event_code: (
        Annotated[str, Field(min_length=5, max_length=44, pattern=TEST_CODE_PATTERN)] | None
    ) = None
    """Shows events in Test Events. They still count for targeting and measurement: not for
    production."""
    data_processing: DataProcessingOptions = DataProcessingOptions()
    """Data processing options that go with every event."""


class BatchPolicy(Model):
    """When a batch leaves: whichever comes first."""

    max_events: Annotated[int, Field(ge=1, le=1000)] = 200
    """Events in one request; Meta takes at most 1000."""
    max_age_millis: Annotated[int, Field(ge=0, le=60_000)] = 5_000
    """Most milliseconds the first event of a batch waits for others. With few batches to send, a
    dispatcher waits a second; the more it sends, the longer it waits, up to this limit."""


class PacePolicy(Model):
    """The most a destination is asked for; below it, Meta's own usage headers set the pace."""

    requests_per_second: Annotated[float, Field(ge=0.1, le=1000)] | None = None
    """Requests a second. Default: as many as Meta allows."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests at the same time."""


class DestinationSpec(Model):
    """Where events go."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(cel="self.tenantRef == oldSelf.tenantRef", message="is immutable", field="tenantRef"),
    )

    tenant_ref: Name
    """Name of the Tenant, in the same namespace, that owns it. Immutable: what was sent stays with
    its tenant."""
    meta: MetaTarget
    """The pixel or dataset."""
    batch: BatchPolicy = BatchPolicy()
    """How many events make a request, and how long the first waits for the others."""
    rate_limit: PacePolicy = PacePolicy()
    """The most that is asked of the Graph API."""
    on_doubt: OnDoubt = "Retry"
    """A request whose answer never came may have been counted: `Retry` sends it again with the same
    id, `Park` leaves it to a person."""
    suspended: bool = False
    """Sends nothing: its events wait and leave as soon as this is false again. Meta takes none
    older than 7 days."""


class DestinationStatus(Status):
    """What the operator saw."""

    consumer: str | None = None
    """Name of the durable consumer."""
    backlog: int | None = None
    """Events waiting for this destination."""
    breaker: Literal["Closed", "HalfOpen", "Open"] | None = None
    """Circuit breaker: `Open` means that nothing is sent for now."""
    last_success: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When Meta last accepted a batch."""
    dead_letters: int | None = None
    """Events given up and waiting for a person."""


class Destination(Manifest):
    """One Meta pixel or dataset that funnels send conversions to."""

    kind: Literal["Destination"]
    spec: DestinationSpec
    status: DestinationStatus | None = None
