"""Every metric of the runtime, in one file: names, labels and buckets are a contract with dashboards and alerts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)

INGEST_REQUESTS = Counter("sinal_ingest_requests", "Requests at the edge by answer.", ("tenant", "source", "status"))
INGEST_SECONDS = Histogram("sinal_ingest_seconds", "Time to a durable answer.", buckets=_FAST)
INGEST_UNKNOWN_FIELDS = Counter(
    "sinal_ingest_unknown_fields", "Fields of tracking events that nothing reads.", ("tenant",)
)
SPOOL_EVENTS = Gauge("sinal_spool_events", "Events waiting on disk for the broker.")
QUEUE_DEPTH = Gauge("sinal_queue_depth", "Messages pending and in flight.", ("tenant", "role"))
QUEUE_OLDEST_SECONDS = Gauge("sinal_queue_oldest_seconds", "Age of the oldest message.", ("tenant", "role"))
MATCH_TOTAL = Counter("sinal_match", "Match decisions.", ("tenant", "rule", "decision"))
MATCH_SECONDS = Histogram("sinal_match_seconds", "One batch of matching.", buckets=_FAST)
CAPI_EVENTS = Counter(
    "sinal_capi_events", "Events by what became of the attempt.", ("tenant", "destination", "outcome")
)
CAPI_REQUEST_SECONDS = Histogram(
    "sinal_capi_request_seconds", "One request to the Graph API.", ("destination",), buckets=_SLOW
)
BREAKER_STATE = Gauge("sinal_breaker_state", "0 closed, 1 half open, 2 open.", ("tenant", "destination"))
DEAD_LETTERS = Counter("sinal_dead_letters", "Events given up, by reason.", ("tenant", "reason"))
EVENT_LATENCY = Histogram(
    "sinal_event_latency_seconds", "From received to the stage.", ("tenant", "stage"), buckets=_SLOW
)
SIGNAL_COVERAGE = Gauge("sinal_signal_coverage_ratio", "Share of conversions with a signal.", ("tenant", "signal"))
GATEWAY_DRIFT = Counter(
    "sinal_gateway_drift", "Unknown statuses and missing fields of gateway deliveries.", ("gateway", "what")
)
READBACK = Counter("sinal_readback", "Notices read back from a gateway's API.", ("gateway", "outcome"))
RECONCILE_TOTAL = Counter("sinal_reconcile", "Reconciliations.", ("kind", "result"))
BUILD_INFO = Gauge("sinal_build_info", "Constant 1, labelled with the version.", ("version",))
