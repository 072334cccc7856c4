"""Plans for unit tests: a snapshot that the test sets, with the interface of `Plans`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sinal_core.plans.snapshot import HeldPlan, Snapshot
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.plan import TenantPlan


class StaticPlans:
    """Plans that change only by `set`."""

    def __init__(
        self,
        *plans: TenantPlan,
        reserved: ReservedHosts = NOTHING_RESERVED,
        held: Mapping[str, HeldPlan] | None = None,
    ) -> None:
        self._reserved = reserved
        self.snapshot = Snapshot(plans, reserved=reserved, held=held)
        self._callbacks: list[Callable[[Snapshot], None]] = []

    async def start(self, *, timeout_s: float | None = None) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call back with the snapshot now and after every `set`; returns how to stop that."""
        self._callbacks.append(callback)
        callback(self.snapshot)
        return lambda: self._callbacks.remove(callback)

    def set(self, *plans: TenantPlan) -> None:
        """Replace all plans and tell subscribers."""
        self.snapshot = Snapshot(plans, reserved=self._reserved)
        for callback in tuple(self._callbacks):
            callback(self.snapshot)
