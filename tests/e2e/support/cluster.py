"""The cluster under test, whichever it is: a kubeconfig, a command that puts an image into it, an
address.

`SINAL_E2E_KUBECONFIG`   of an administrator; nothing is tested without it `SINAL_E2E_LOAD`
command that is given the name of each image; unset: the cluster pulls them itself
`SINAL_E2E_ADDRESS`      where node ports answer; default: the first node's internal address
`SINAL_E2E_NODE`         command that takes `stop COMPONENT`, `start COMPONENT` and `inside
COMMAND`; unset: no
                         component is killed, and nobody looks into the node's store of images
`SINAL_E2E_IMAGE`, `SINAL_E2E_SANDBOX_IMAGE`, `SINAL_E2E_SERVICES_IMAGE`, `SINAL_E2E_TRAEFIK_IMAGE`
images' names `SINAL_E2E_PREVIOUS_IMAGE`   the image that the charts of the version before run
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.support.kubectl import Kubectl

SETTLED_S = 20.0


class NoCluster(Exception):
    """No cluster is named; the message says how to get one."""


@dataclass(frozen=True)
class Images:
    """Names of what runs in the cluster."""

    sinal: str
    previous: str
    sandbox: str
    services: str
    traefik: str


class Cluster:
    """A cluster with its administrator's rights."""

    def __init__(
        self, kubeconfig: Path, *, loader: str, address: str, node: str, images: Images
    ) -> None:
        self.kubeconfig, self.images = kubeconfig, images
        self._loader, self._address, self._node = loader, address, node

    @classmethod
    def of_environment(cls) -> Cluster:
        """As the environment names it; raises NoCluster."""
        given = os.environ.get
        kubeconfig = given("SINAL_E2E_KUBECONFIG")
        if not kubeconfig:
            raise NoCluster(
                "SINAL_E2E_KUBECONFIG names no cluster: `make e2e` makes one with kind, `make "
                "e2e-node` a node"
            )
        return cls(
            Path(kubeconfig),
            loader=given("SINAL_E2E_LOAD", ""),
            address=given("SINAL_E2E_ADDRESS", ""),
            node=given("SINAL_E2E_NODE", ""),
            images=Images(
                sinal=given("SINAL_E2E_IMAGE", "localhost/sinal:1"),
                previous=given("SINAL_E2E_PREVIOUS_IMAGE", "localhost/sinal-previous:1"),
                sandbox=given("SINAL_E2E_SANDBOX_IMAGE", "localhost/sinal-sandbox:1"),
                services=given("SINAL_E2E_SERVICES_IMAGE", "localhost/sinal-services:1"),
                traefik=given("SINAL_E2E_TRAEFIK_IMAGE", "localhost/traefik:1"),
            ),
        )

    def kubectl(self, namespace: str = "") -> Kubectl:
        """kubectl in a namespace; without one as the manifests say."""
        return Kubectl(self.kubeconfig, namespace)

    def load(self, image: str) -> None:
        """Put an image into the cluster."""
        if self._loader:
            subprocess.run([*shlex.split(self._loader), image], check=True, timeout=300)

    @property
    def address(self) -> str:
        """Host of node ports."""
        if not self._address:
            nodes = json.loads(self.kubectl().do("get", "nodes", "-o", "json"))["items"]
            addresses = nodes[0]["status"]["addresses"]
            self._address = next(
                entry["address"] for entry in addresses if entry["type"] == "InternalIP"
            )
        return self._address

    def node_port(self, namespace: str, service: str) -> str:
        """URL of the first port of a Service of type NodePort."""
        ports = self.kubectl(namespace).get("service", service)["spec"]["ports"]
        return f"http://{self.address}:{ports[0]['nodePort']}"

    def answers(self) -> bool:
        """Whether the API server is ready."""
        return self.kubectl().run("get", "--raw", "/readyz", "--request-timeout=3s").returncode == 0

    @property
    def has_components(self) -> bool:
        """Whether the node's components can be killed from here."""
        return bool(self._node)

    def image_labels(self, image_id: str) -> dict[str, str]:
        """Labels of an image in the node's store, by the digest that a pod's status names."""
        inside = (*shlex.split(self._node), "inside", "ctr", "-n", "k8s.io", "content", "get")
        found = subprocess.run(
            [*inside, image_id], check=True, capture_output=True, text=True, timeout=60
        )
        labels: dict[str, str] = json.loads(found.stdout)["config"]["Labels"]
        return labels

    def kill_component(self, name: str) -> None:
        """kill -9 of a component of the node."""
        subprocess.run([*shlex.split(self._node), "stop", name], check=True, timeout=120)

    def wait_settled(self, *, timeout_s: float = 300) -> None:
        """Everything on the cluster is ready, and has been for a while.

        A kubelet that starts takes its pods for unready until it has asked them again, which is not
        at once.
        """
        deadline, since = time.monotonic() + timeout_s, None
        while since is None or time.monotonic() - since < SETTLED_S:
            unready = self._unready()
            since = None if unready else since or time.monotonic()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not settled after {timeout_s:.0f} s; not ready: {unready}")
            time.sleep(1)

    def _unready(self) -> list[str]:
        """Names of nodes and pods that are not ready; jobs' pods may have ended."""
        got = self.kubectl().run(
            "get", "nodes,pods", "--all-namespaces", "-o", "json", "--request-timeout=10s"
        )
        if got.returncode != 0:
            return ["the API server"]
        return [
            item["metadata"]["name"]
            for item in json.loads(got.stdout)["items"]
            if item["status"].get("phase") not in ("Succeeded", "Failed")
            and not any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in item["status"].get("conditions", [])
            )
        ]

    def start_component(self, name: str) -> None:
        """Start it again."""
        subprocess.run([*shlex.split(self._node), "start", name], check=True, timeout=120)
