"""Compiled plans as the runtime sees them: watched, unsealed, handed out as immutable snapshots."""

from sinal_core.plans.plans import Plans
from sinal_core.plans.snapshot import Snapshot

__all__ = ["Plans", "Snapshot"]
