"""Settings of the operator in a cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sinal_core.settings import Group, Words


class ClusterSettings(Group):
    """The operator."""

    watch_namespaces: Words = Field(
        (), description="Namespaces that the operator serves, with commas between; default: all."
    )
    lease_namespace: str | None = Field(
        None,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Namespace of the Lease by which one of several operators leads; default: the "
        "pod's. "
        "Outside a pod and unset there is one operator and no Lease.",
    )
    lease_name: str = Field(
        "sinal-operator",
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="Name of that Lease; one for each installation.",
    )
    deletion_patience_s: float = Field(
        120.0,
        ge=0,
        description="How long a Tenant that is deleted waits for NATS to be cleaned "
        "before it goes anyway.",
    )
    status_interval_s: float = Field(
        30.0,
        ge=0,
        le=3_600,
        description="Least time between two writes of figures into one object's status by the "
        "operator; conditions do "
        "not wait.",
    )


class RouteSettings(Group):
    """Routes to tenants' hosts."""

    routes: Literal["none", "ingress", "gateway"] = Field(
        "none",
        description="What the operator makes for tenants' hosts and paths: Ingresses (`ingress`), "
        "HTTPRoutes "
        "(`gateway`), or `none`.",
    )
    routes_namespace: str = Field(
        "",
        description="Namespace of ingest's Service, where routes are made; default: the "
        "operator's own.",
    )
    routes_service_port: int = Field(8080, ge=1, le=65_535, description="Port of ingest's Service.")
    routes_annotations: dict[str, str] = Field(
        {},
        description='Annotations of every route, as a JSON object: `{"example.com/key": "value"}`.',
    )
    ingress_class: str = Field(
        "", description="IngressClass of routes; default: the cluster's own default."
    )
    gateway: str = Field(
        "",
        description="Gateway that HTTPRoutes attach to: `namespace/name` or "
        "`namespace/name/section`.",
    )
    cert_issuer: str = Field(
        "",
        description="cert-manager's Issuer, in `routes_namespace`, for certificates of Ingresses' "
        "hosts.",
    )
    cert_cluster_issuer: str = Field(
        "", description="The same with a ClusterIssuer; one of the two."
    )
