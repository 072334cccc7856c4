"""Moments: integers of Unix milliseconds inside, times with a zone at the border."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4_096)  # an event's two times stand in a dozen places
def moment(ms: int) -> datetime:
    """Unix ms as a time."""
    return datetime.fromtimestamp(ms / 1000, UTC)
