"""Settings of housekeeping."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class StatusSettings(Group):
    """What housekeeping writes into statuses."""

    facts_interval_s: float = Field(
        15.0,
        ge=0.5,
        le=300,
        description="How often housekeeping looks what to tell of tenants in their statuses; less "
        "often where that "
        "would cost more than a twentieth of the time.",
    )
