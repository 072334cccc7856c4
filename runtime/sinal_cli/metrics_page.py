"""The page of metrics, from the declarations of runtime and operator: docs/operators/metrics.md
(see `reference`).
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics import MetricWrapperBase

from sinal_core.telemetry import metrics as of_runtime
from sinal_operator import metrics as of_operator

# Who serves a metric, by the beginning of its name; the longest one counts. Every role serves
# sinal_build_info.
_ROLES = {
    "sinal_ingest_": "ingest",
    "sinal_quarantine_": "ingest",
    "sinal_spool_": "ingest",
    "sinal_gateway_": "ingest",
    "sinal_queue_": "housekeeping",
    "sinal_integrations_": "housekeeping",
    "sinal_signal_": "housekeeping",
    "sinal_chore_": "housekeeping",
    "sinal_stranded": "housekeeping",
    "sinal_ledger_": "housekeeping",
    "sinal_heartbeat_": "housekeeping",
    "sinal_erasures_": "housekeeping",
    "sinal_backup_": "housekeeping",
    "sinal_match": "match",
    "sinal_readback": "match",
    "sinal_capi_": "dispatch",
    "sinal_breaker_": "dispatch",
    "sinal_dead_letters": "match, dispatch",
    "sinal_event_latency_": "match, dispatch",
    "sinal_nats_": "operator",
    "sinal_reconcile": "operator",
    "sinal_leader": "operator",
    "sinal_object": "operator",
    "sinal_orphaned_": "operator",
    "sinal_adapter_": "metrics-adapter",
    "sinal_build_info": "every role",
}

_TEXT = """# Metrics

Every role answers `/metrics` in Prometheus's text format: ingest and API on a port of its own (`SINAL_METRICS_PORT`),
because their other one is for the world. `sinal up` is one process and shows all of them on the port that it prints.

Series of tenants are bounded: the first `SINAL_METRICS_TENANTS` tenants that a process has to do with have series of
their own, for as long as it runs, the rest share the tenant `other` (and its destinations the destination `other`).
There, counters and histograms add up, depths are summed, and of breakers and ages the worst is shown. A series never
changes its owner, so no counter goes backwards.

Depths, ages and signal coverage are the same whichever housekeeping process tells them: take `max by (tenant, role)`.
`sinal_queue_oldest_seconds` is how long the first message has waited, whether or not somebody works on it.
`sinal_signal_coverage_ratio` counts what Meta is told of each conversion, as `/api/v1/tenants/{slug}/signal-coverage`
does, with `click_id` for those that were matched to a click.

Traces leave as OTLP where `SINAL_OTLP_ENDPOINT` names a collector (`pip install 'sinal[tracing]'`): `ingest.request`,
`nats.publish`, `match.batch`, `postgres.transaction`, `dispatch.request`, and `api.request` for what is asked of the
operations API: a replay is one trace up to Meta. A batch of several events is a trace of its
own that links to theirs, and leaves `match.event` and `dispatch.event` in each of them. An event that went through the
spool starts without its trace. A sender's `traceparent` is continued;
of those that ask to be sampled `SINAL_TRACE_RATIO` has its share.

| metric | type | labels | served by | meaning |
| --- | --- | --- | --- | --- |
"""


def metrics_page() -> str:
    """The whole page; raises LookupError for a metric that no role is known for."""
    return _TEXT + "".join(f"{_row(metric)}\n" for metric in declared())


def declared() -> Iterator[MetricWrapperBase]:
    """Every metric of the runtime and the operator, as they were declared."""
    for module in (of_runtime, of_operator):
        yield from (
            found for found in vars(module).values() if isinstance(found, MetricWrapperBase)
        )


def _row(metric: MetricWrapperBase) -> str:
    (family,) = metric.describe()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{name}` | {family.type} | {labels} | {_role(name)} | {family.documentation} |"


def _role(name: str) -> str:
    known = [prefix for prefix in _ROLES if name.startswith(prefix)]
    if not known:
        raise LookupError(f"{name}: say in {__name__} which role serves it")
    return _ROLES[max(known, key=len)]
