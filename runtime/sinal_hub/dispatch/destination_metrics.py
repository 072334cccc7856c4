"""What the metrics say of one destination: its breaker's state, why it is not closed, when it took
an event last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sinal_core.aio.breaker import BreakerState
from sinal_core.outbox.answers import Kind
from sinal_core.telemetry import metrics
from sinal_hub.store.delivery_rows import Row

SUSPENDED = "suspended"  # a reason that nobody has to act on: somebody said so
NO_TOKEN = "no_token"  # noqa: S105 - a reason: the plan has no token for it


class DestinationMetrics:
    """The series of one destination; of reasons only the current one is there."""

    def __init__(self, tenant: str, destination: str) -> None:
        self._labels = (tenant, destination)
        self._reason: str | None = None

    def show(self, state: BreakerState, reason: str | None) -> None:
        """As it stands; a closed breaker has no reason."""
        metrics.BREAKER_STATE.labels(*self._labels).set(state)
        self._because(None if state is BreakerState.CLOSED else reason)

    def rest(self) -> None:
        """Nothing is sent because it is suspended: whatever was wrong before is not shown
        meanwhile.
        """
        metrics.BREAKER_STATE.labels(*self._labels).set(BreakerState.CLOSED)
        self._because(SUSPENDED)

    def rise(self) -> None:
        """It is not suspended any more."""
        if self._reason == SUSPENDED:
            self._because(None)

    def _because(self, reason: str | None) -> None:
        if reason == self._reason:
            return
        if self._reason is not None:
            metrics.BREAKER_REASON.remove(*self._labels, self._reason)
        if reason is not None:
            metrics.BREAKER_REASON.labels(*self._labels, reason).set(1)
        self._reason = reason

    def answered(self, kind: Kind, at: float, latency_s: float) -> None:
        """One request was answered, or ended without an answer; `at` is wall time."""
        metrics.CAPI_REQUESTS.labels(*self._labels, kind).inc()
        metrics.CAPI_REQUEST_SECONDS.labels(self._labels[1]).observe(latency_s)
        if kind == "delivered":
            metrics.CAPI_LAST_SUCCESS.labels(*self._labels).set(at)

    def doubted(self) -> None:
        """A lost worker may have sent an event."""
        metrics.CAPI_EVENTS.labels(*self._labels, "in_doubt").inc()

    def settled(
        self,
        outcomes: Mapping[str, int],
        dead: Mapping[str, int],
        delivered: Sequence[Row],
        now: float,
    ) -> None:
        """Events by outcome, those given up by reason, those that arrived; `now` is wall time."""
        tenant = self._labels[0]
        for outcome, events in outcomes.items():
            metrics.CAPI_EVENTS.labels(*self._labels, outcome).inc(events)
        for reason, events in dead.items():
            metrics.DEAD_LETTERS.labels(tenant, reason).inc(events)
        latency = metrics.EVENT_LATENCY.labels(tenant, "delivered")
        for row in delivered:
            latency.observe(max(0.0, now - row.received_at.timestamp()))

    def take_down(self) -> None:
        """The destination is gone: so are its gauges."""
        # Shown as closed first, which takes the series of its reason away: left behind, it would
        # blame a destination that is gone.
        self.show(BreakerState.CLOSED, None)
        metrics.BREAKER_STATE.remove(*self._labels)
        metrics.CAPI_LAST_SUCCESS.remove(*self._labels)
