"""Settings of logs, metrics and traces."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sinal_core.settings import Group


class LogSettings(Group):
    """Logs."""

    log_level: str = Field("info", description="debug, info, warning or error.")
    log_json: bool = Field(True, description="JSON lines instead of a console format.")


class MetricsSettings(Group):
    """Metrics."""

    metrics_tenants: int = Field(
        200,
        ge=0,
        le=10_000,
        description="Tenants with series of their own in metrics; the rest share `other`.",
    )


class TraceSettings(Group):
    """Traces."""

    otlp_endpoint: str | None = Field(
        None,
        description="OpenTelemetry collector, OTLP over HTTP: http://collector:4318. Without it no "
        "traces.",
    )
    trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of requests that are traced, also of those whose sender's `traceparent` "
        "asks for a trace; "
        "one that asks for none gets none.",
    )


class FaultSettings(Group):
    """Reports of faults."""

    # read before all others, straight from the environment: a fault may come before settings do
    error_reports_dsn: SecretStr = Field(
        SecretStr(""),
        description="Address of a project of Sentry, or of what speaks its protocol, that is told "
        "of faults: https://KEY@HOST/NUMBER. Empty: nobody is.",
    )
