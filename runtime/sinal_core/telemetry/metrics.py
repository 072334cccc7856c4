"""Every metric of the runtime, in one file: names, labels and buckets are a contract with
dashboards and alerts.

Series are bounded by `series`, so a room counts by tenant without a thought of how many there are.
docs/operators/metrics.md is made from this file.
"""

from __future__ import annotations

from importlib.metadata import version

from sinal_core.telemetry import bounded
from sinal_core.telemetry.bounded import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)

INGEST_REQUESTS = Counter(
    "sinal_ingest_requests",
    "Requests at the edge by answer; source `suspended`: refused because tenant, funnel or "
    "integration is.",
    ("tenant", "source", "status"),
)
INGEST_SECONDS = Histogram("sinal_ingest_seconds", "Time to a durable answer.", buckets=_FAST)
INGEST_UNKNOWN_FIELDS = Counter(
    "sinal_ingest_unknown_fields", "Fields of tracking events that nothing reads.", ("tenant",)
)
INGEST_WARNINGS = Counter(
    "sinal_ingest_field_warnings",
    "Fields of tracking events that could not be used and were left out; the answer names them.",
    ("tenant",),
)
INGEST_CRAWLERS = Counter(
    "sinal_ingest_crawlers",
    "Tracking events of link previews, search engines, monitors and headless browsers: recorded, "
    "never sent.",
    ("tenant",),
)
INGEST_EARLIER_KEYS = Counter(
    "sinal_ingest_earlier_keys",
    "Requests taken with a token or key of a mint key that was replaced and is not retired yet.",
    ("tenant", "what"),
)
QUARANTINE_FULL = Counter(
    "sinal_quarantine_full",
    "Unreadable deliveries whose body was not kept, because their tenant's share of quarantine is "
    "used up.",
    ("tenant",),
)
SPOOL_EVENTS = Gauge("sinal_spool_events", "Events waiting on disk for the broker.")
SPOOL_BYTES = Gauge("sinal_spool_bytes", "Bytes of the spool's segments.")
SPOOL_LIMIT_BYTES = Gauge(
    "sinal_spool_limit_bytes", "Bytes that the spool may take; 0 without a spool."
)
SPOOL_OLDEST_SECONDS = Gauge("sinal_spool_oldest_seconds", "Age of the oldest spooled event.")
SPOOL_RECORDS = Counter("sinal_spool_records", "Spooled events by what became of them.", ("what",))
QUEUE_DEPTH = Gauge(
    "sinal_queue_depth",
    "Messages pending, in flight, or in no consumer's count.",
    ("tenant", "role"),
    merge=sum,
)
QUEUE_OLDEST_SECONDS = Gauge(
    "sinal_queue_oldest_seconds", "Age of the oldest message.", ("tenant", "role")
)
INTEGRATIONS_SUSPENDED = Gauge(
    "sinal_integrations_suspended",
    "Integrations from which nothing is taken, as declared: what they told before waits in the "
    "queue of match.",
    ("tenant",),
)
QUEUE_READ = Gauge(
    "sinal_queue_read_timestamp_seconds", "When depths and ages were read from the broker last."
)
MATCH_TOTAL = Counter("sinal_match", "Match decisions.", ("tenant", "rule", "decision"))
MATCH_SECONDS = Histogram("sinal_match_seconds", "One batch of matching.", buckets=_FAST)
CAPI_EVENTS = Counter(
    "sinal_capi_events",
    "Events by what became of the attempt.",
    ("tenant", "destination", "outcome"),
)
CAPI_REQUEST_SECONDS = Histogram(
    "sinal_capi_request_seconds", "One request to the Graph API.", ("destination",), buckets=_SLOW
)
CAPI_REQUESTS = Counter(
    "sinal_capi_requests",
    "Requests to the Graph API by what the answer meant.",
    ("tenant", "destination", "verdict"),
)
CAPI_LAST_SUCCESS = Gauge(
    "sinal_capi_last_success_timestamp_seconds",
    "When the destination took an event last, of what this process sent.",
    ("tenant", "destination"),
    merge=min,
)
BREAKER_STATE = Gauge(
    "sinal_breaker_state", "0 closed, 1 half open, 2 open.", ("tenant", "destination")
)
BREAKER_REASON = Gauge(
    "sinal_breaker_reason",
    "1 while nothing is sent, by why; `suspended` is as declared.",
    ("tenant", "destination", "reason"),
)
DEAD_LETTERS = Counter("sinal_dead_letters", "Events given up, by reason.", ("tenant", "reason"))
EVENT_LATENCY = Histogram(
    "sinal_event_latency_seconds", "From received to the stage.", ("tenant", "stage"), buckets=_SLOW
)
SIGNAL_COVERAGE = Gauge(
    "sinal_signal_coverage_ratio",
    "Share of the last day's sales with a signal.",
    ("tenant", "signal"),
    merge=min,
)
GATEWAY_DRIFT = Counter(
    "sinal_gateway_drift",
    "Unknown statuses and missing fields of gateway deliveries.",
    ("gateway", "what"),
)
READBACK = Counter(
    "sinal_readback", "Notices read back from a gateway's API.", ("gateway", "outcome")
)
CHORE_LAST_SUCCESS = Gauge(
    "sinal_chore_last_success_timestamp_seconds",
    "When a chore of housekeeping succeeded last, anywhere.",
    ("chore",),
)
CHORE_FAILURES = Counter(
    "sinal_chore_failures", "Runs of a chore that failed in this process.", ("chore",)
)
CHORE_SECONDS = Histogram("sinal_chore_seconds", "One run of a chore.", ("chore",), buckets=_SLOW)
STRANDED = Counter(
    "sinal_stranded",
    "Deliveries whose message was lost, published again.",
    ("tenant", "destination"),
)
LEDGER_DIFFERENCE = Gauge(
    "sinal_ledger_difference",
    "Rows that keep the delivery ledger from adding up.",
    ("tenant",),
    merge=sum,
)
HEARTBEAT_SECONDS = Gauge(
    "sinal_heartbeat_seconds", "How long the last heartbeat took from the broker to its row."
)
HEARTBEAT_AGE = Gauge(
    "sinal_heartbeat_age_seconds", "How long ago the last heartbeat came through, when looked at."
)
HEARTBEAT_LAST = Gauge(
    "sinal_heartbeat_last_timestamp_seconds", "When the last heartbeat came through."
)
ERASURES_WAITING = Gauge("sinal_erasures_waiting", "Erasures asked for and not done yet.")
BACKUP_LAST_SUCCESS = Gauge(
    "sinal_backup_last_success_timestamp_seconds",
    "When the newest backup began that was restored and compared; 0 where there is none.",
)
BACKUP_BYTES = Gauge("sinal_backup_bytes", "Size of that backup.")
BACKUP_SECONDS = Gauge("sinal_backup_seconds", "How long it took to make and to try.")
ADAPTER_REQUESTS = Counter(
    "sinal_adapter_requests", "Requests for external metrics by answer.", ("metric", "status")
)
ADAPTER_CERTIFICATE_EXPIRY = Gauge(
    "sinal_adapter_certificate_expiry_timestamp_seconds",
    "When the certificate ends that the adapter serves with.",
)
BUILD_INFO = Gauge("sinal_build_info", "1 for each role that the process has.", ("version", "role"))


def begin(role: str, *, tenants: int) -> None:
    """At the start of a role: so many tenants have series of their own, and this is what runs."""
    bounded.TENANTS.limit(tenants)
    bounded.DESTINATIONS.limit(tenants)
    BUILD_INFO.labels(version("sinal"), role).set(1)
