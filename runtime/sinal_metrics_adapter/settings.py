"""Settings of the metrics adapter."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class ExternalMetricsSettings(Group):
    """The metrics adapter."""

    adapter_external_metrics: bool = Field(
        True,
        description="Serve `external.metrics.k8s.io`; false: the depths as JSON only, without any "
        "Kubernetes.",
    )
    adapter_port: int = Field(
        6443,
        ge=0,
        le=65_535,
        description="Port of the metrics adapter's TLS listener, for the API server.",
    )
    adapter_namespace: str | None = Field(
        None, description="Namespace of the adapter's Service and Secret; default: the pod's own."
    )
    adapter_service: str = Field(
        "sinal-metrics-adapter",
        min_length=1,
        description="The Service through which the API server reaches the adapter.",
    )
    adapter_secret: str = Field(
        "sinal-metrics-adapter-tls",
        min_length=1,
        description="Secret with the certificate that the adapter makes itself.",
    )
    adapter_certificate_hours: float = Field(
        2_160.0,
        gt=0,
        description="How long a certificate of the adapter holds; the next one comes after two "
        "thirds.",
    )
