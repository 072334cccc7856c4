"""Routes as the API server has them: ours whole, of other people's only what they claim. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sinal_operator.cluster.resources import HTTP_ROUTES, Resource
from sinal_operator.cluster.routes.desired import (
    MANAGED_BY,
    MANAGER,
    MARK,
    ROUTE,
    TENANT_NAME,
    TENANT_NAMESPACE,
    TENANT_UID,
    TenantKey,
)

_OLD_CLASS: Final = "kubernetes.io/ingress.class"  # an annotation, from before the field

Body = dict[str, Any]


class PathClaim(NamedTuple):
    """A path of a host that a route catches."""

    host: str
    path: str


@dataclass(frozen=True)
class ObservedRoutes:
    """One Ingress or HTTPRoute."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    generation: int
    deleting: bool
    ours: bool
    tenant_uid: str  # empty for others' and for what belongs to the installation
    claims: tuple[PathClaim, ...]
    # its ingress class, or the Gateways it attaches to; empty where it does not say
    via: frozenset[str]
    body: Body = field(default_factory=dict, repr=False)  # of ours: labels, annotations, spec
    parents: tuple[Body, ...] = field(default=(), repr=False)  # of ours: what Gateways say of it
    version: int = field(default=0, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name."""
        return self.resource.kind, self.namespace, self.name

    @property
    def tenant(self) -> TenantKey:
        """Namespace and name of the tenant that it is for; empty ones where it is for none."""
        labels = self.body["metadata"]["labels"] if self.body else {}
        return labels.get(TENANT_NAMESPACE, ""), labels.get(TENANT_NAME, "")

    @property
    def mark(self) -> str:
        """The digest of what was applied last."""
        return str(self.body["metadata"]["annotations"].get(MARK, "")) if self.body else ""

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"

    def digest(self) -> str:
        """Of all that we might have set."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()


def see(resource: Resource, body: Body, *, namespace: str) -> ObservedRoutes:
    """Read one object of the API server; ours are in that namespace, with our labels."""
    metadata = body["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    ours = (
        metadata["namespace"] == namespace and labels.get(MANAGED_BY) == MANAGER and ROUTE in labels
    )
    spec = body.get("spec") or {}
    is_http_route = resource == HTTP_ROUTES
    kept = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    return ObservedRoutes(
        resource=resource,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        generation=metadata.get("generation", 1),
        deleting="deletionTimestamp" in metadata,
        ours=ours,
        tenant_uid=labels.get(TENANT_UID, "") if ours else "",
        claims=tuple(_http_route_claims(spec) if is_http_route else _ingress_claims(spec)),
        via=_gateways(metadata["namespace"], spec)
        if is_http_route
        else _ingress_class(annotations, spec),
        body=kept if ours else {},
        parents=tuple((body.get("status") or {}).get("parents") or ()) if ours else (),
    )


def covers(live: object, wanted: object) -> bool:
    """Whether all that is wanted is there.

    Beside it there may be what the API server or other people added.
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and covers(live[key], wanted[key]) for key in wanted
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
        )
    return live == wanted


def _ingress_claims(spec: Body) -> Iterator[PathClaim]:
    for rule in spec.get("rules") or ():
        paths = (rule.get("http") or {}).get("paths") or [{}]
        if host := rule.get("host"):
            yield from (PathClaim(host, path.get("path") or "/") for path in paths)


def _http_route_claims(spec: Body) -> Iterator[PathClaim]:
    nothing: list[Body] = [{}]
    matches = [
        match for rule in spec.get("rules") or nothing for match in rule.get("matches") or nothing
    ]
    paths = [(match.get("path") or {}).get("value") or "/" for match in matches]
    for host in spec.get("hostnames") or ():
        yield from (PathClaim(host, path) for path in paths)


def _ingress_class(annotations: Body, spec: Body) -> frozenset[str]:
    return frozenset(filter(None, [spec.get("ingressClassName") or annotations.get(_OLD_CLASS)]))


def _gateways(namespace: str, spec: Body) -> frozenset[str]:
    parents = spec.get("parentRefs") or ()
    return frozenset(
        f"{parent.get('namespace') or namespace}/{parent['name']}" for parent in parents
    )
