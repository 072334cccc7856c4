"""The release under test: which values, from where, and what it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.chart.support import previous
from tests.cluster.support.kubectl import Kubectl
from tests.e2e.support.cluster import Cluster, Images
from tests.e2e.support.helm import Helm

ROOT = Path(__file__).parents[3]
CHARTS = ROOT / "charts"
NAMESPACE = "sinal"
NAME = "sinal"
PUBLIC_HOST = "in.sinal.example"
SCALED = {"match": 3, "dispatch": 2}  # most pods of the roles that queues scale


class Release:
    """Installs, changes and takes away the release `sinal` in the namespace `sinal`."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.kubectl: Kubectl = cluster.kubectl(NAMESPACE)
        self.helm = Helm(cluster.kubeconfig, NAMESPACE, home)
        self.values = values(cluster.images)
        self._images = cluster.images
        self.installed_at = 0.0  # by the monotonic clock: when the installation began

    def define(self, chart: Path = CHARTS / "sinal-crds") -> None:
        """The definitions, as a release of their own."""
        self.helm.upgrade("sinal-crds", chart, {})

    def install(self, chart: Path = CHARTS / "sinal", **changes: Any) -> None:
        """Install, or upgrade to, a chart with the values of the tests and changes to them."""
        self.helm.upgrade(NAME, chart, {**self.values, **changes})

    def install_previous(self) -> None:
        """The charts of the version before, with the image that they ran."""
        self.define(previous.chart("sinal-crds"))
        self.install(previous.chart("sinal"), image=image(self._images.previous))

    def upgrade(self) -> None:
        """To the present charts and image, definitions first, as docs/operators/install.md says."""
        self.define()
        self.install()

    def rollback(self) -> None:
        """To what was installed before."""
        self.helm.do("rollback", NAME, "--wait", "--timeout=240s")

    def version(self) -> str:
        """Name and version of the chart that is installed."""
        (found,) = json.loads(self.helm.do("list", "--filter", f"^{NAME}$", "--output", "json"))
        return str(found["chart"])

    def deployments(self) -> list[str]:
        """Names of the release's Deployments."""
        return [item["metadata"]["name"] for item in self.kubectl.list("deployments")]

    def pods(self, component: str) -> list[str]:
        """Names of a role's pods that are not ending."""
        return [
            pod["metadata"]["name"]
            for pod in self.kubectl.list("pods")
            if pod["metadata"]["labels"].get("app.kubernetes.io/component") == component
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def wait_rolled_out(self, *, timeout_s: int = 180) -> None:
        """Every Deployment and StatefulSet has the pods that it wants."""
        for kind in ("deployment", "statefulset"):
            for item in self.kubectl.list(kind):
                name = f"{kind}/{item['metadata']['name']}"
                self.kubectl.do("rollout", "status", name, f"--timeout={timeout_s}s")


def values(images: Images) -> dict[str, Any]:
    """Values of the tests: small pods, evaluation-grade services with volumes, quick autoscaling,
    Ingress routes.
    """
    services = image(images.services)
    volume = {"enabled": True, "size": "1Gi"}
    return {
        "image": image(images.sinal),
        "config": {
            "publicUrl": f"http://{PUBLIC_HOST}",
            "graphUrl": "http://sandbox.meta.svc:80",
            "trustedProxies": 1,
        },
        "evaluation": {
            "enabled": True,
            "nats": {"image": services, "command": ["nats-server"], "persistence": volume},
            "postgres": {
                "image": services,
                "args": ["postgres"],
                "persistence": volume,
                "runAsUser": 65532,
            },
            "redis": {"image": services},
        },
        "networkPolicy": {"ports": {"web": [443, 80, 8082]}},
        **{role: {"resources": small()} for role in ("ingest", "match", "dispatch")},
        "operator": {
            "resources": small(),
            "routes": {"mode": "ingress", "ingressClass": "traefik"},
        },
        "housekeeping": {"resources": small(), "replicas": 1},
        "api": {"resources": small(), "replicas": 1},
        "autoscaling": {
            "mode": "external-metrics",
            **{role: _scaled(most) for role, most in SCALED.items()},
        },
    }


def image(name: str) -> dict[str, str]:
    """A chart's image out of a name with a tag."""
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}


def small() -> dict[str, Any]:
    """Requests that leave a small node room to scale."""
    return {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}


def _scaled(most: int) -> dict[str, Any]:
    """One pod at rest, more for each 40 waiting messages.

    Pods go again in seconds rather than minutes.
    """
    policy = {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 2}],
    }
    behavior = {"scaleUp": policy, "scaleDown": {**policy, "stabilizationWindowSeconds": 10}}
    return {"minReplicas": 1, "maxReplicas": most, "queueDepth": 40, "behavior": behavior}
