"""The operator's metrics: what it reconciled, how long it took, and how many objects are as they were declared."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

RECONCILE_TOTAL = Counter("sinal_reconcile", "Reconciliations by what they came to.", ("kind", "result"))
RECONCILE_SECONDS = Histogram("sinal_reconcile_seconds", "One reconciliation.", ("kind",), buckets=_BUCKETS)
OBJECTS = Gauge("sinal_objects", "Objects by kind, and whether they are ready.", ("kind", "ready"))
LEADER = Gauge("sinal_leader", "1 in the operator that works, 0 in one that stands by.")


def show_objects(objects: Iterable[tuple[str, bool]]) -> None:
    """Set the gauge to these objects: the kind of each, and whether it is ready."""
    counts = Count(objects)
    for kind in {kind for kind, _ in counts} | _shown():
        for ready in (True, False):
            OBJECTS.labels(kind, str(ready).lower()).set(counts[kind, ready])


def _shown() -> set[str]:
    return {sample.labels["kind"] for family in OBJECTS.collect() for sample in family.samples}
