"""Values of autoscaling."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from charts.generator.parts import Object, Values


class Bounds(Values):
    """How far a role may be scaled."""

    min_replicas: int = Field(2, ge=1, le=1000, description="Pods at rest.")
    max_replicas: int = Field(10, ge=1, le=1000, description="Pods at most.")
    cpu: int = Field(
        70, ge=1, le=100, description="Target of CPU in percent of its request, where CPU decides."
    )
    behavior: Object = Field(
        default_factory=dict,
        description="`behavior` of the HorizontalPodAutoscaler in place of the chart's.",
    )


class QueueBounds(Bounds):
    """A role whose work waits in queues."""

    queue_depth: int = Field(
        500, ge=1, description="Waiting messages a pod, over all tenants, where depth decides."
    )


class PodsMetric(Values):
    """A metric of the pods from custom.metrics.k8s.io."""

    name: str = Field("", description="Name of the metric; empty: none.")
    average_value: str = Field("300", description="Target a pod.")


class Prometheus(Values):
    """Prometheus as KEDA asks it."""

    address: str = Field("", description="URL of Prometheus; empty: requests do not decide.")
    requests_per_second: int = Field(300, ge=1, description="Target a pod.")


class EdgeBounds(Bounds):
    """The edge, whose work waits nowhere."""

    requests_metric: PodsMetric = Field(
        default_factory=PodsMetric,
        description="Request rate beside CPU in the modes cpu and external-metrics, if an adapter "
        "of yours serves one.",
    )
    prometheus: Prometheus = Field(
        default_factory=Prometheus,
        description="Request rate beside CPU in the mode keda, asked of Prometheus.",
    )


class Keda(Values):
    """What only KEDA knows."""

    polling_interval: int = Field(15, ge=1, description="Seconds between two looks at a queue.")
    cooldown_period: int = Field(
        300, ge=0, description="Seconds of nothing to do before it scales to the minimum."
    )
    fallback_failures: int = Field(
        3,
        ge=1,
        description="Failed looks after which a role is taken to `maxReplicas` half-way, so that "
        "nobody waits.",
    )


class Autoscaling(Values):
    """Who changes the number of pods, and by what."""

    mode: Literal["none", "cpu", "keda", "external-metrics"] = Field(
        "none",
        description="none: fixed numbers. cpu: HorizontalPodAutoscalers on CPU (metrics-server). "
        "keda: ScaledObjects "
        "on queue depth (KEDA 2.x). external-metrics: HorizontalPodAutoscalers on queue depth, "
        "served by Sinal itself "
        "(for clusters without KEDA: there is one such API a cluster).",
    )
    ingest: EdgeBounds = Field(default_factory=EdgeBounds, description="The edge.")
    match: QueueBounds = Field(default_factory=QueueBounds, description="Matching.")
    dispatch: QueueBounds = Field(default_factory=QueueBounds, description="Delivery.")
    keda: Keda = Field(default_factory=Keda, description="What only the mode keda knows.")
