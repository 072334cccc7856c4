"""Which signals the sales of the last day carry, as metrics: how well Meta can find the people
behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sinal_core.telemetry import metrics
from sinal_hub.store.signal_coverage import SIGNALS, SignalCounts

WINDOW = timedelta(hours=24)


class Store(Protocol):
    """Where conversions are counted; `ObservingStore` is one."""

    async def coverage(self, *, since: datetime) -> list[SignalCounts]:
        """Signals by tenant; raises StoreUnavailable."""
        ...


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class SignalCoverage:
    """Keeps the metric; a tenant without a conversion in the window has none."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store, self._clock = store, clock
        self._shown: set[str] = set()

    async def look(self) -> None:
        """Count and show; raises StoreUnavailable."""
        rows = await self._store.coverage(since=self._clock() - WINDOW)
        # A gauge that is not removed goes on showing its last value.
        for tenant in self._shown - {row.tenant for row in rows}:
            for signal in SIGNALS:
                metrics.SIGNAL_COVERAGE.remove(tenant, signal)
        self._shown = {row.tenant for row in rows}
        for row in rows:
            for signal, ratio in row.ratios.items():
                metrics.SIGNAL_COVERAGE.labels(row.tenant, signal).set(ratio)
