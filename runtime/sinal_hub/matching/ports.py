"""What matching asks of the rooms beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sinal_crds.plan import TenantPlan


class Snapshot(Protocol):
    """What of a plan snapshot matching reads."""

    @property
    def tenants(self) -> Mapping[str, TenantPlan]: ...


class Plans(Protocol):
    """Where the current snapshot is found."""

    @property
    def snapshot(self) -> Snapshot: ...
