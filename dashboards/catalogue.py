"""Every metric that a query may use, and its labels: Sinal's own as declared, recorded ones, and a
few of others.

A query that names anything else has a typing error, or looks at a metric that was renamed.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.metrics import MetricWrapperBase

from sinal_cli.metrics_page import declared

from dashboards import alerts
from dashboards.alerts.rule import Record

SCRAPED = frozenset({"job", "instance", "namespace", "pod"})  # what Prometheus adds to every series
_PARTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "counter": {"_total": frozenset()},
    "gauge": {"": frozenset()},
    "histogram": {"_bucket": frozenset({"le"}), "_sum": frozenset(), "_count": frozenset()},
}
# kube-state-metrics, as far as it is used
_HPA = frozenset({"namespace", "horizontalpodautoscaler"})
OTHERS: Mapping[str, frozenset[str]] = {
    "kube_horizontalpodautoscaler_spec_max_replicas": _HPA,
    "kube_horizontalpodautoscaler_status_current_replicas": _HPA,
    "kube_horizontalpodautoscaler_status_desired_replicas": _HPA,
    "kube_horizontalpodautoscaler_status_condition": _HPA | {"condition", "status"},
}


def known() -> dict[str, frozenset[str]]:
    """Names as they are queried, with the labels that their series can have."""
    scraped: dict[str, frozenset[str]] = {**OTHERS}
    for metric in declared():
        scraped |= _series(metric)
    made = {**_recorded(), "ALERTS": _of_alerts()}
    return made | {name: labels | SCRAPED for name, labels in scraped.items()}


def _series(metric: MetricWrapperBase) -> dict[str, frozenset[str]]:
    (family,) = metric.describe()
    labels = frozenset(metric._labelnames)
    return {family.name + part: labels | more for part, more in _PARTS[family.type].items()}


def _recorded() -> dict[str, frozenset[str]]:
    records = [rule for group in alerts.GROUPS for rule in group.rules if isinstance(rule, Record)]
    return {record.name: frozenset({"slo"}) for record in records}


def _of_alerts() -> frozenset[str]:
    return frozenset({"alertname", "alertstate", "severity", "tenant", "destination"})
