"""How routes are to be made, from the operator's settings.

Pure, but for the pod's own namespace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from sinal_crds.models.common import HOST_PATTERN
from sinal_crds.names import GROUP, NAME_PATTERN
from sinal_operator.cluster.login import pod_namespace

ISSUER = "cert-manager.io/issuer"
CLUSTER_ISSUER = "cert-manager.io/cluster-issuer"

Mode = Literal["none", "ingress", "gateway"]


class BadOptions(ValueError):
    """Settings of routes that don't fit together; the message names one and says what helps."""


@dataclass(frozen=True)
class GatewayRef:
    """The Gateway that routes attach to; without a section to all of its listeners."""

    namespace: str
    name: str
    section: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.namespace, self.name, self.section)))


@dataclass(frozen=True, kw_only=True)
class RouteOptions:
    """Where routes are made, what they lead to and how the outside reaches them."""

    namespace: str
    service: str
    port: int
    shared_host: str
    gateway: GatewayRef | None = None  # none: an Ingress each
    ingress_class: str = ""  # empty: the cluster's default
    annotations: Mapping[str, str] = field(default_factory=dict)
    # cert-manager's annotation; empty: routes ask for no TLS
    issuer: Mapping[str, str] = field(default_factory=dict)


def read(
    *,
    mode: Mode,
    public_url: str,
    namespace: str = "",
    service: str = "sinal-ingest",
    port: int = 8080,
    ingress_class: str = "",
    gateway: str = "",
    annotations: Mapping[str, str] | None = None,
    issuer: str = "",
    cluster_issuer: str = "",
) -> RouteOptions | None:
    """Options from settings, None where no routes are wanted; raises BadOptions."""
    if mode == "none":
        return None
    attached = _gateway(gateway) if mode == "gateway" else None
    return RouteOptions(
        namespace=_name("SINAL_ROUTES_NAMESPACE", namespace or _own_namespace()),
        service=_name("SINAL_ROUTES_SERVICE", service),
        port=port,
        shared_host=_shared_host(public_url),
        gateway=attached,
        ingress_class=ingress_class if attached is None else "",
        annotations=_annotations(annotations or {}),
        issuer=_issuer(issuer, cluster_issuer, attached),
    )


def _name(setting: str, value: str) -> str:
    if not re.match(NAME_PATTERN, value):
        raise BadOptions(
            f"{setting} is {value!r}, which is not a name of Kubernetes: use a-z, 0-9 and -"
        )
    return value


def _own_namespace() -> str:
    if (found := pod_namespace()) is None:
        raise BadOptions(
            "SINAL_ROUTES_NAMESPACE is needed outside a pod: name the namespace of ingest's Service"
        )
    return found


def _shared_host(public_url: str) -> str:
    parts = urlsplit(public_url)
    host = (parts.hostname or "").rstrip(".")
    # An Ingress with an IP address as its host is refused, and the Gateway API allows none either.
    if not re.match(HOST_PATTERN, host) or re.fullmatch(r"[\d.]+", host):
        raise BadOptions(
            f"SINAL_PUBLIC_URL is {public_url!r}: routes need a DNS name in it, such as "
            "https://in.example"
        )
    if parts.path.strip("/"):
        raise BadOptions(
            f"SINAL_PUBLIC_URL is {public_url!r}: routes need it without a path, as ingest does"
        )
    return host


def _gateway(text: str) -> GatewayRef:
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(re.match(HOST_PATTERN, part) for part in parts):
        raise BadOptions(
            f"SINAL_GATEWAY is {text!r}: write namespace/name or "
            "namespace/name/section of a Gateway"
        )
    return GatewayRef(*parts)


def _annotations(given: Mapping[str, str]) -> Mapping[str, str]:
    taken = [key for key in given if key.startswith(f"{GROUP}/")]
    if taken:
        raise BadOptions(
            f"SINAL_ROUTES_ANNOTATIONS has {taken[0]}: {GROUP}/ is the operator's own "
            "prefix, remove it"
        )
    return dict(given)


def _issuer(issuer: str, cluster_issuer: str, gateway: GatewayRef | None) -> Mapping[str, str]:
    if not issuer and not cluster_issuer:
        return {}
    if issuer and cluster_issuer:
        raise BadOptions("SINAL_CERT_ISSUER and SINAL_CERT_CLUSTER_ISSUER are both set: keep one")
    if gateway is not None:
        raise BadOptions(
            "SINAL_CERT_ISSUER and SINAL_CERT_CLUSTER_ISSUER are for Ingresses: a Gateway has its "
            "certificates at its "
            f"listeners, so annotate Gateway {gateway.namespace}/{gateway.name} and unset them"
        )
    return {ISSUER: issuer} if issuer else {CLUSTER_ISSUER: cluster_issuer}
