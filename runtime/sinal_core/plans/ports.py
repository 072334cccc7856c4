"""What a room asks of the plans, so that a test can stand in: the tenants that there are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sinal_crds.plan import TenantPlan


class Snapshot(Protocol):
    """All plans at one moment; `plans.Snapshot` in production."""

    @property
    def tenants(self) -> Mapping[str, TenantPlan]:
        """Plans by slug."""
        ...


class Plans(Protocol):
    """Where the current snapshot is found; `plans.Plans` in production."""

    @property
    def snapshot(self) -> Snapshot:
        """What holds now; a batch looks once."""
        ...
