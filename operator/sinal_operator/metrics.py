"""The operator's metrics: what it reconciled, how long it took, and how many objects are as they
were declared.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

RECONCILE_TOTAL = Counter(
    "sinal_reconcile", "Reconciliations by what they came to.", ("kind", "result")
)
RECONCILE_SECONDS = Histogram(
    "sinal_reconcile_seconds", "One reconciliation.", ("kind",), buckets=_BUCKETS
)
NATS_SECONDS = Histogram(
    "sinal_nats_request_seconds",
    "One request of the operator to NATS, until its answer.",
    ("operation", "result"),
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 5),
)
OBJECTS = Gauge("sinal_objects", "Objects by kind, and whether they are ready.", ("kind", "ready"))
LEADER = Gauge("sinal_leader", "1 in the operator that works, 0 in one that stands by.")
LAST_DONE = Gauge(
    "sinal_reconcile_last_success_timestamp_seconds", "When all was as declared, and said so, last."
)
NOT_READY_SINCE = Gauge(
    "sinal_object_not_ready_since_timestamp_seconds",
    "Since when an object is not ready, and why; the first hundred.",
    ("kind", "namespace", "name", "reason"),
)
ORPHANED_PLANS = Gauge(
    "sinal_orphaned_plans", "Plans in force whose Tenant is not there any more; their sales go on."
)
MOST_NOT_READY = 100  # series, however much is broken


def show_objects(objects: Iterable[tuple[str, bool]]) -> None:
    """Set the gauge to these objects: the kind of each, and whether it is ready."""
    counts = Count(objects)
    # A gauge keeps its last value: a kind whose last object went has to be set to 0.
    for kind in {kind for kind, _ in counts} | _shown():
        for ready in (True, False):
            OBJECTS.labels(kind, str(ready).lower()).set(counts[kind, ready])


@dataclass(frozen=True)
class NotReady:
    """An object that is not as declared; `since` is Unix time."""

    kind: str
    namespace: str
    name: str
    reason: str
    since: float

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Of its series."""
        return self.kind, self.namespace, self.name, self.reason


def show_not_ready(found: Iterable[NotReady]) -> None:
    """Have a series for each of these, the longest broken first, and for nothing else."""
    shown = sorted(found, key=lambda one: (one.since, one.labels))[:MOST_NOT_READY]
    wanted = {one.labels: one.since for one in shown}
    for sample in [sample for family in NOT_READY_SINCE.collect() for sample in family.samples]:
        labels = tuple(sample.labels[name] for name in ("kind", "namespace", "name", "reason"))
        if labels not in wanted:
            NOT_READY_SINCE.remove(*labels)
    for labels, since in wanted.items():
        NOT_READY_SINCE.labels(*labels).set(since)


def _shown() -> set[str]:
    return {sample.labels["kind"] for family in OBJECTS.collect() for sample in family.samples}
