"""Settings of matching."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class MatchingSettings(Group):
    """Matching."""

    match_batch: int = Field(
        200, ge=1, le=1_000, description="Messages of one lane in one transaction."
    )
    match_concurrency: int = Field(2, ge=1, le=64, description="Batches matched at the same time.")
