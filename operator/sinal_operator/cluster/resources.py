"""The kinds of objects that the operator reads and writes, and their paths at the API server."""

from __future__ import annotations

from dataclasses import dataclass

from sinal_crds.names import GROUP, VERSION
from sinal_crds.schema import FACES


@dataclass(frozen=True)
class Resource:
    """A namespaced kind."""

    kind: str
    group: str  # empty for the core
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", part: str = "") -> str:
        """URL path of one object, of a namespace's or of all; `part` is a subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return "/".join((f"{root}{scope}/{self.plural}", *filter(None, (name, part))))


CUSTOM: dict[str, Resource] = {
    kind: Resource(kind, GROUP, VERSION, face.plural) for kind, face in FACES.items()
}
SECRETS = Resource("Secret", "", "v1", "secrets")
EVENTS = Resource("Event", "", "v1", "events")
LEASES = Resource("Lease", "coordination.k8s.io", "v1", "leases")
INGRESSES = Resource("Ingress", "networking.k8s.io", "v1", "ingresses")
HTTP_ROUTES = Resource("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes")

# What can hold no credentials of ours, is large, and is left at the API server.
SECRETS_SELECTOR = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"
