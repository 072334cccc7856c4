"""The routes that a tenant is to have, as manifests. Pure and deterministic.

One object for each first-party host, and one for the tenant's path on the shared host: so a host's
certificate, its acceptance by a Gateway and a quarrel about it stay its own. Only what the edge
serves to the public is routed, not its probes and metrics. Nothing is copied from the Tenant but
its name: what Argo CD or kubectl note there is not for routes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sinal_crds.names import GROUP, own_path
from sinal_crds.plan import TenantPlan
from sinal_operator.cluster.resources import HTTP_ROUTES, INGRESSES, Resource
from sinal_operator.cluster.routes.options import GatewayRef, RouteOptions

MANAGER: Final = "sinal-operator"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PART_OF: Final = "app.kubernetes.io/part-of"
ROUTE: Final = f"{GROUP}/route"  # what the object is for: host, path or certificate
TENANT_NAMESPACE: Final = f"{GROUP}/tenant-namespace"
TENANT_NAME: Final = f"{GROUP}/tenant-name"
TENANT_UID: Final = f"{GROUP}/tenant-uid"
# a digest of what was applied, so that a field that is wanted no more is noticed
MARK: Final = f"{GROUP}/applied"

PUBLIC_PREFIXES: Final = ("/api/v1/track/", "/api/v1/webhooks/")
PUBLIC_PATHS: Final = ("/s.js",)

MAX_NAME = 253

Body = dict[str, Any]
TenantKey = tuple[str, str]  # namespace and name
Paths = tuple[tuple[str, bool], ...]  # and whether each stands for all below it


class HostPath(NamedTuple):
    """What a route catches: all paths of a host, or those below a prefix that ends with a slash."""

    host: str
    prefix: str = ""

    def __str__(self) -> str:
        return self.host + self.prefix

    def overlaps(self, host: str, path: str) -> bool:
        """Whether somebody's path of a host catches what this one is for."""
        return host == self.host and (path.rstrip("/") + "/").startswith(self.prefix)


@dataclass(frozen=True)
class DesiredRoute:
    """A route as it is to be; `uid` is empty for what belongs to the installation."""

    resource: Resource
    place: HostPath
    uid: str
    tenant: TenantKey
    body: Body = field(repr=False)

    @property
    def namespace(self) -> str:
        """Where it is made."""
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name, which follows from its place."""
        return str(self.body["metadata"]["name"])

    @property
    def mark(self) -> str:
        """The digest of the whole."""
        return str(self.body["metadata"]["annotations"][MARK])


def routes(plan: TenantPlan, options: RouteOptions) -> tuple[DesiredRoute, ...]:
    """The routes of a tenant; a host that is the shared one is left out."""
    places = (HostPath(options.shared_host, f"/t/{plan.slug}/"), *map(HostPath, plan.hosts))
    labels = {TENANT_NAMESPACE: plan.namespace, TENANT_NAME: plan.name, TENANT_UID: plan.uid}
    found = []
    for place in places:
        if place.host != options.shared_host or place.prefix:
            paths = tuple(_paths(place, plan.slug))
            body = _body(
                place, options, paths, labels={ROUTE: "path" if place.prefix else "host", **labels}
            )
            found.append(
                DesiredRoute(_resource(options), place, plan.uid, (plan.namespace, plan.name), body)
            )
    return tuple(found)


def of_installation(options: RouteOptions) -> tuple[DesiredRoute, ...]:
    """What holds the shared host's certificate: cert-manager wants one owner for it, and tenants
    come and go.
    """
    if not options.issuer:
        return ()
    place = HostPath(options.shared_host)
    body = _metadata(place, options, {ROUTE: "certificate"}, options.issuer)
    body["spec"] = {**_class(options), "rules": [{"host": place.host}], "tls": _tls(place)}
    return (DesiredRoute(_resource(options), place, "", ("", ""), _marked(body)),)


def object_name(place: HostPath) -> str:
    """The name of a place's object: readable, and another one for another place."""
    name = (
        f"sinal-t-{place.prefix.strip('/').removeprefix('t/')}"
        if place.prefix
        else f"sinal-h-{place.host}"
    )
    return _short(name)


def secret_name(host: str) -> str:
    """The Secret of a host's certificate."""
    return _short(f"sinal-tls-{host}")


def _short(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    # 12 digits and a dash; a part of a DNS name does not end with a dash or a dot.
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: MAX_NAME - 13].rstrip('.-')}-{digest}"


def _resource(options: RouteOptions) -> Resource:
    return INGRESSES if options.gateway is None else HTTP_ROUTES


def _body(
    place: HostPath, options: RouteOptions, paths: Paths, *, labels: Mapping[str, str]
) -> Body:
    own_certificate = {} if place.prefix else options.issuer
    body = _metadata(place, options, labels, own_certificate)
    gateway = options.gateway
    body["spec"] = (
        _ingress(place, options, paths)
        if gateway is None
        else _http_route(place, gateway, options, paths)
    )
    return _marked(body)


def _metadata(
    place: HostPath, options: RouteOptions, labels: Mapping[str, str], extra: Mapping[str, str]
) -> Body:
    resource = _resource(options)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": object_name(place),
            "namespace": options.namespace,
            "labels": {MANAGED_BY: MANAGER, PART_OF: "sinal", **labels},
            "annotations": {**options.annotations, **extra},
        },
    }


def _paths(place: HostPath, slug: str) -> Iterator[tuple[str, bool]]:
    """Paths, and whether each stands for all below it."""
    if place.prefix:
        yield place.prefix, True
        return
    for prefix in (*PUBLIC_PREFIXES, f"/{own_path(slug)}"):
        yield prefix, True
    for path in PUBLIC_PATHS:
        yield path, False


def _ingress(place: HostPath, options: RouteOptions, wanted: Paths) -> Body:
    backend = {"service": {"name": options.service, "port": {"number": options.port}}}
    paths = [
        {"path": path, "pathType": "Prefix" if below else "Exact", "backend": backend}
        for path, below in wanted
    ]
    tls = {"tls": _tls(place)} if options.issuer else {}
    return {**_class(options), "rules": [{"host": place.host, "http": {"paths": paths}}], **tls}


def _class(options: RouteOptions) -> Body:
    return {"ingressClassName": options.ingress_class} if options.ingress_class else {}


def _tls(place: HostPath) -> list[Body]:
    return [{"hosts": [place.host], "secretName": secret_name(place.host)}]


def _http_route(place: HostPath, gateway: GatewayRef, options: RouteOptions, paths: Paths) -> Body:
    """With the values that the API server would fill in, so that it has nothing to add."""
    parent = {
        "group": HTTP_ROUTES.group,
        "kind": "Gateway",
        "namespace": gateway.namespace,
        "name": gateway.name,
    }
    section = {"sectionName": gateway.section} if gateway.section else {}
    matches = [
        {"path": {"type": "PathPrefix" if below else "Exact", "value": path}}
        for path, below in paths
    ]
    backend = {
        "group": "",
        "kind": "Service",
        "name": options.service,
        "port": options.port,
        "weight": 1,
    }
    return {
        "parentRefs": [{**parent, **section}],
        "hostnames": [place.host],
        "rules": [{"matches": matches, "backendRefs": [backend]}],
    }


def _marked(body: Body) -> Body:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["metadata"]["annotations"][MARK] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return body
