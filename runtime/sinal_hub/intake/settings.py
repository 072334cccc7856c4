"""Settings of events as they are published."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class EventSettings(Group):
    """Events."""

    # not a Literal: that takes no text, which is all that an environment has
    event_version: int = Field(
        2,
        ge=1,
        le=2,
        description="Version in which sales are written onto the bus. 1 while pods of release 0.2 "
        "run beside these, or may be gone back to; the chart's default is 1 in this release.",
    )
