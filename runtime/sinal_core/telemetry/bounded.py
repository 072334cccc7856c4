"""Counters, gauges and histograms whose series are bounded, whatever the number of tenants.

The first `limit` tenants that a process has to do with keep their label for its life, the rest
share `other`: no series ever changes its owner, so a counter never goes backwards. What belongs to
a tenant under `other` (its destinations) is `other` as well. Counters and histograms of the rest
add up by themselves; a gauge merges theirs when it is scraped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import prometheus_client
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a series of birth times for each family, which nobody asks for

OTHER = "other"
DEFAULT_LIMIT = 200


class Names:
    """The values of one label that have series of their own: the first that came."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._own: dict[str, None] = {}

    def limit(self, most: int) -> None:
        """Let so many have a series of their own.

        Of those that have one already, the first ones.
        """
        self._limit = most
        self._own = dict.fromkeys(list(self._own)[:most])

    def label(self, name: str) -> str:
        """The value of the label; an empty name stands for nobody and stays so."""
        if not name or name in self._own:
            return name
        if len(self._own) >= self._limit:
            return OTHER
        self._own[name] = None
        return name


# They bound the process's one registry of series, so there is one of each a process.
TENANTS = Names()
DESTINATIONS = Names()  # where a metric has destinations without their tenant


def bounded(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels as they may be shown."""
    shown = dict(labels)
    if "tenant" in shown:
        shown["tenant"] = TENANTS.label(shown["tenant"])
        if shown["tenant"] == OTHER and "destination" in shown:
            shown["destination"] = OTHER
    elif "destination" in shown:
        shown["destination"] = DESTINATIONS.label(shown["destination"])
    return shown


def _values(
    names: Sequence[str], values: tuple[object, ...], named: Mapping[str, object]
) -> tuple[str, ...]:
    given = {
        name: str(value)
        for name, value in (named.items() if named else zip(names, values, strict=True))
    }
    return tuple(bounded(given)[name] for name in names)


class Counter(prometheus_client.Counter):
    """A counter with bounded series."""

    def labels(self, *values: object, **named: object) -> Self:
        """The series of these labels, or the one that it shares."""
        return super().labels(*_values(self._labelnames, values, named))


class Histogram(prometheus_client.Histogram):
    """A histogram with bounded series."""

    def labels(self, *values: object, **named: object) -> Self:
        """The series of these labels, or the one that it shares."""
        return super().labels(*_values(self._labelnames, values, named))


class Gauge(prometheus_client.Gauge):
    """A gauge with bounded series.

    `merge` makes one value of those that share a series: `max` or `sum`.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        *,
        merge: Callable[[Iterable[float]], float] = max,
        **options: Any,
    ) -> None:
        self._merge = merge
        super().__init__(name, documentation, labelnames, **options)

    def collect(self) -> Iterable[Metric]:
        """Every series, those of the rest merged."""
        for family in super().collect():
            merged: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
            for sample in family.samples:
                merged.setdefault(tuple(bounded(sample.labels).items()), []).append(sample)
            family.samples = [
                found[0]._replace(
                    labels=dict(labels), value=self._merge(sample.value for sample in found)
                )
                for labels, found in merged.items()
            ]
            yield family
