"""A second installation, over services that are not its own, made as docs/operators/install.md
says.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.chart.support import previous
from tests.cluster.support.kubectl import Kubectl
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.helm import Helm
from tests.e2e.support.release import CHARTS, image, small

NAMESPACE = "own"
NAME = "sinal"
SERVICES = "sinal-services"
_ROLES = ("ingest", "match", "dispatch", "api", "housekeeping", "operator")


@dataclass(frozen=True)
class Hook:
    """A Job that Helm ran before it touched anything else."""

    phase: str
    started: datetime
    completed: datetime


class OwnServices:
    """NATS, PostgreSQL and Redis that were there before, named by Secrets.

    And the release over them.
    """

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.kubectl: Kubectl = cluster.kubectl(NAMESPACE)
        self.helm = Helm(cluster.kubeconfig, NAMESPACE, home)
        self._admin, self._images = cluster.kubectl(), cluster.images
        self._passwords = {
            name: secrets.token_hex(16) for name in ("nats", "postgres", "redis", "worker")
        }

    def provide(self) -> None:
        """The services, which belong to no release, and Secrets that say where they are."""
        self._admin.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        passwords = {f"{name}-password": password for name, password in self._passwords.items()}
        self.kubectl.apply(_secret(f"{SERVICES}-evaluation", passwords))
        self.kubectl.apply(self._services())
        word, host = self._passwords, f"{NAMESPACE}.svc"
        database = f"{SERVICES}-postgres.{host}:5432/sinal"
        self.kubectl.apply(
            _secret(
                "sinal-nats", {"url": f"nats://sinal:{word['nats']}@{SERVICES}-nats.{host}:4222"}
            ),
            _secret(
                "sinal-redis", {"url": f"redis://:{word['redis']}@{SERVICES}-redis.{host}:6379/0"}
            ),
            _secret(
                "sinal-postgres",
                {
                    "url": f"postgresql://sinal_worker:{word['worker']}@{database}",
                    "ownerUrl": f"postgresql://sinal:{word['postgres']}@{database}",
                },
            ),
        )
        for service in ("nats", "postgres", "redis"):
            self.kubectl.do(
                "rollout", "status", f"statefulset/{SERVICES}-{service}", "--timeout=120s"
            )

    def install_previous(self) -> None:
        """The version before."""
        values = {**self._values(), "image": image(self._images.previous)}
        self.helm.upgrade(NAME, previous.chart("sinal"), values)

    def upgrade(self, *, timeout_s: int = 240) -> None:
        """To the present version, whatever was there."""
        self.helm.upgrade(NAME, CHARTS / "sinal", self._values(), timeout_s=timeout_s)

    def take_away(self) -> None:
        """All of it."""
        self.helm.do("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout=120s")
        self._admin.do("delete", "namespace", NAMESPACE, "--timeout=120s")

    def hooks(self) -> dict[str, Hook]:
        """The last run of each hook Job of the present revision, by name."""
        return {
            hook["name"]: Hook(
                hook["last_run"]["phase"],
                datetime.fromisoformat(hook["last_run"]["started_at"]),
                datetime.fromisoformat(hook["last_run"]["completed_at"]),
            )
            for hook in self.helm.status(NAME)["hooks"]
            if hook["kind"] == "Job" and "pre-upgrade" in hook["events"]
        }

    def pods(self) -> dict[str, datetime]:
        """When each pod of the roles was made, by its uid."""
        return {
            pod["metadata"]["uid"]: datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            for pod in self.kubectl.list("pods")
            if pod["metadata"]["labels"].get("app.kubernetes.io/component") in _ROLES
            and "deletionTimestamp" not in pod["metadata"]
        }

    def _services(self) -> str:
        """Manifests of the services: the chart's own, without the rest of the chart."""
        services = image(self._images.services)
        values = {
            "enabled": True,
            "nats": {"image": services, "command": ["nats-server"]},
            "postgres": {"image": services, "args": ["postgres"], "runAsUser": 65532},
            "redis": {"image": services},
        }
        shown = [
            f"--show-only=templates/evaluation/{name}.yaml"
            for name in ("nats", "postgres", "redis")
        ]
        # which no chart of ours does without
        rest = {"evaluation": values, "image": image(self._images.sinal)}
        return self.helm.template(SERVICES, CHARTS / "sinal", rest, *shown)

    def _values(self) -> dict[str, Any]:
        """Values for services of one's own, and for one namespace; a pod a role."""
        return {
            "image": image(self._images.sinal),
            "config": {
                "publicUrl": "http://own.sinal.example",
                "graphUrl": "http://sandbox.meta.svc:80",
            },
            "nats": {"existingSecret": "sinal-nats", "replicas": 1},
            "postgres": {
                "existingSecret": "sinal-postgres",
                "secretKeys": {"ownerUrl": "ownerUrl"},
            },
            "redis": {"existingSecret": "sinal-redis"},
            "migration": {"logins": True},
            "watchNamespaces": [NAMESPACE],
            "autoscaling": {"mode": "none"},
            **{role: {"resources": small(), "replicas": 1} for role in _ROLES},
        }


def _secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
