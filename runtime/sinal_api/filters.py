"""The filters of the list of events, as query parameters and as the body of a bulk replay."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from sinal_crds.names import SLUG_PATTERN
from sinal_hub.services.shapes import EventFilter

Outcome = Literal["in_flight", "delivered", "withheld", "dead"]
Decision = Literal["match", "review", "unmatched"]


def _storable(text: str) -> str:
    # PostgreSQL's text takes no NUL.
    if "\x00" in text or not text.isprintable():
        raise ValueError("holds characters that no such word has")
    return text


def _written_out(value: object) -> object:
    """Numbers would be taken for Unix seconds or milliseconds, whichever is nearer: nobody means
    that.
    """
    if not isinstance(value, str | datetime) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError("must be a time as in RFC 3339, such as 2026-11-22T15:04:05Z")
    return value


# JSON has no times: a body gives them as text too, whatever else it is strict about
Moment = Annotated[datetime, BeforeValidator(_written_out), Field(strict=False)]
Word = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_storable)]
Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]  # goes into subjects, where `*` is every tenant
Hash = Annotated[
    str,
    Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the normalised e-mail, lower-case hex."
    ),
]


class Filters(BaseModel):
    """Conditions on events; they combine. Times without a zone are UTC."""

    model_config = ConfigDict(extra="forbid")

    tenant: Word | None = None
    funnel: Word | None = None
    kind: Word | None = None
    status: Word | None = None
    gateway: Word | None = None
    order_id: Word | None = None
    click_id: Word | None = None
    outcome: Outcome | None = None
    reason: Word | None = None
    decision: Decision | None = None
    email_sha256: Hash | None = None
    since: Moment | None = None
    until: Moment | None = None

    def events(self, tenant: str | None) -> EventFilter:
        """As the store takes it, bound to a tenant."""
        values = {name: getattr(self, name) for name in Filters.model_fields}
        return EventFilter(**values | {"tenant": tenant})


class ListQuery(Filters):
    """Query of a list."""

    cursor: Annotated[
        str | None, Query(max_length=512, description="`next_cursor` of the page before.")
    ] = None
    limit: Annotated[int, Query(ge=1, le=500)] = 50
