"""Pieces of values that several parts of the chart share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Object = dict[str, Any]  # handed to Kubernetes as it is; the API server judges it


class Values(BaseModel):
    """A mapping that takes the keys listed here and no others."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_name=True)


class Image(Values):
    """A container image."""

    repository: str = Field(min_length=1, description="Registry and name, without tag.")
    tag: str = Field("", description="Tag; empty: the chart's version.")
    digest: str = Field(
        "", pattern=r"^(sha256:[0-9a-f]{64})?$", description="Digest; it wins over the tag."
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When to pull it."
    )


class ServiceImage(Image):
    """The image of a service that is none of ours: it has no tag that follows from the chart."""

    tag: str = Field(min_length=1, description="Tag.")


class Disruption(Values):
    """PodDisruptionBudget."""

    enabled: bool = Field(
        True,
        description="Keep drains of nodes from taking more than `maxUnavailable` pods at a time.",
    )
    max_unavailable: int = Field(1, ge=0, description="Pods that may be away at the same time.")


class Workload(Values):
    """Pods of one role."""

    replicas: int = Field(
        1,
        ge=0,
        le=1000,
        description="Pods; not written into the Deployment where it is scaled by load.",
    )
    resources: Object = Field(
        default_factory=dict, description="Requests and limits of the container."
    )
    pdb: Disruption = Field(default_factory=Disruption, description="PodDisruptionBudget.")
    termination_grace_period_seconds: int = Field(
        45,
        ge=1,
        le=3600,
        description="How long a pod may take to finish what is under way after SIGTERM.",
    )
    priority_class_name: str = Field(
        "", description="PriorityClass; empty: the one this chart makes, if it does."
    )
    extra_env: list[Object] = Field(
        default_factory=list,
        description="More variables of the container (docs/operators/settings.md), over those of "
        "the chart.",
    )
    extra_volumes: list[Object] = Field(
        default_factory=list,
        description="More volumes of the pods, such as the authority of a database's certificate.",
    )
    extra_volume_mounts: list[Object] = Field(
        default_factory=list,
        description="Where the container has them; its root file system is read-only.",
    )
    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of the Deployment or StatefulSet itself."
    )
    pod_annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of the pods."
    )
    pod_labels: dict[str, str] = Field(default_factory=dict, description="Labels of the pods.")
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Node labels the pods need."
    )
    tolerations: list[Object] = Field(default_factory=list, description="Taints the pods stand.")
    affinity: Object = Field(default_factory=dict, description="Affinity of the pods.")
    service_account_annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of the role's ServiceAccount."
    )


def resources(cpu: str, memory: str, limit: str) -> Object:
    """Requests and a memory limit.

    No CPU limit: it would throttle bursts that the node has room for.
    """
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}
