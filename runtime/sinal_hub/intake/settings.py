"""Settings of events as they are published."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sinal_core.settings import Group


class EventSettings(Group):
    """Events."""

    event_version: Literal[1, 2] = Field(
        2,
        description="Version in which sales are written onto the bus. 1 while pods of release 0.2 "
        "run beside these, or may be gone back to; the chart's default is 1 in this release.",
    )
