"""Metrics of the adapter and their values as `external.metrics.k8s.io` tells them.

An idle queue has an explicit 0: an autoscaler takes an empty list for a failure. A role or tenant
that there is not is an error for the same reason turned round: a name with a slip in it must not
look idle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sinal_hub.status.depths import ROLES, QueueDepth, QueueDepths
from sinal_metrics_adapter.errors import bad_request, not_found
from sinal_metrics_adapter.ports import GROUP, VERSION
from sinal_metrics_adapter.selectors import Requirement, parse

LABELS = ("role", "tenant")
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """One metric: its name, and what it says of a queue at a time, as a Kubernetes quantity."""

    name: str
    quantity: Callable[[QueueDepth, float], str]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("sinal_queue_depth", lambda queue, _: str(queue.messages)),
        Metric("sinal_queue_oldest_seconds", lambda queue, now: _milli(queue.oldest_s(now))),
    )
}


@dataclass(frozen=True)
class MetricQuery:
    """A metric of some labels, understood."""

    metric: Metric
    requirements: tuple[Requirement, ...]

    @property
    def by_tenant(self) -> bool:
        """Whether tenants are told apart: only who asks for the label gets it."""
        return any(one.key == "tenant" and one.operator != "absent" for one in self.requirements)

    def answer(self, reading: QueueDepths) -> dict[str, Any]:
        """The list of values; raises Failure when nothing fits."""
        items = [
            {
                "metricName": self.metric.name,
                "metricLabels": dict(labels),
                "timestamp": f"{reading.moment:%Y-%m-%dT%H:%M:%SZ}",
                "value": self.metric.quantity(queue, reading.at),
            }
            for labels, queue in self._series(reading)
            if all(requirement.holds(labels) for requirement in self.requirements)
        ]
        if not items:
            raise not_found(
                (f"no series of {self.metric.name} fits; roles are {' and '.join(ROLES)}")
                + self._hint()
            )
        return {
            "kind": "ExternalMetricValueList",
            "apiVersion": f"{GROUP}/{VERSION}",
            "metadata": {},
            "items": items,
        }

    def _series(self, reading: QueueDepths) -> Iterator[tuple[Labels, QueueDepth]]:
        for role in ROLES:
            if not self.by_tenant:
                yield {"role": role}, reading.of_role(role)
                continue
            for tenant in sorted(reading.tenants):
                yield {"role": role, "tenant": tenant}, reading.of_tenant(tenant, role)

    def _hint(self) -> str:
        return ", and the tenant has to be one that there is" if self.by_tenant else ""


def understood(metric: str, selector: str) -> MetricQuery:
    """What is asked; raises Failure for what there is not."""
    known = METRICS.get(metric)
    if known is None:
        raise not_found(f"there is no metric {metric!r}; there are {' and '.join(METRICS)}")
    requirements = tuple(parse(selector))
    for requirement in requirements:
        if requirement.key not in LABELS:
            raise bad_request(
                f"{metric} has no label {requirement.key!r}; it has {' and '.join(LABELS)}"
            )
    return MetricQuery(known, requirements)


def _milli(seconds: float) -> str:
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{whole * 1000 + rest}m" if rest else str(whole)
