"""`sinal run metrics-adapter` as a process on a control plane, with the rights that the adapter
asks for and no others.

There is no cluster network: the Service is an ExternalName for this machine, and the API server
finds the adapter's port in the APIService.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sinal_cli.embedded.process import Service, free_port

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import until

GROUP = "external.metrics.k8s.io"
API_SERVICE = f"v1beta1.{GROUP}"
NAME = "sinal-metrics-adapter"
SECRET = f"{NAME}-tls"
Manifest = dict[str, Any]


def rights(namespace: str) -> list[Manifest]:
    """RBAC of the adapter, and of the autoscaler that reads it."""
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    scaler = {
        "kind": "ServiceAccount",
        "name": "horizontal-pod-autoscaler",
        "namespace": "kube-system",
    }
    named = f"{NAME}-{namespace}"
    secrets = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [SECRET],
            "verbs": ["get", "update"],
        },
    ]
    registrations = [
        {
            "apiGroups": ["apiregistration.k8s.io"],
            "resources": ["apiservices"],
            "resourceNames": [API_SERVICE],
            "verbs": ["get", "patch"],
        }
    ]
    reading = [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list"]}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}},
        _rules("Role", NAME, secrets, namespace),
        _binding("RoleBinding", NAME, ("Role", NAME), account, namespace),
        _rules("ClusterRole", named, registrations),
        _binding("ClusterRoleBinding", named, ("ClusterRole", named), account),
        _binding(
            "ClusterRoleBinding", f"{named}-auth", ("ClusterRole", "system:auth-delegator"), account
        ),
        _binding(
            "RoleBinding",
            named,
            ("Role", "extension-apiserver-authentication-reader"),
            account,
            "kube-system",
        ),
        _rules("ClusterRole", f"{named}-read", reading),
        _binding("ClusterRoleBinding", f"{named}-read", ("ClusterRole", f"{named}-read"), scaler),
    ]


def service() -> Manifest:
    """The Service, which leads to this machine."""
    spec = {"type": "ExternalName", "externalName": "localhost"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": spec}


def registration(namespace: str, port: int, name: str = NAME) -> Manifest:
    """The APIService."""
    spec = {
        "group": GROUP,
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": name, "namespace": namespace, "port": port},
    }
    metadata = {"name": API_SERVICE}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": metadata,
        "spec": spec,
    }


class AdapterProcess:
    """One replica; it can be killed and started again."""

    def __init__(
        self,
        folder: Path,
        plane: ControlPlane,
        *,
        namespace: str,
        nats_url: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        user = f"system:serviceaccount:{namespace}:{NAME}"
        groups = [
            "system:serviceaccounts",
            f"system:serviceaccounts:{namespace}",
            "system:authenticated",
        ]
        self.port, self._plain = free_port(), free_port()
        environment = {
            **os.environ,
            "KUBECONFIG": str(
                plane.authority.kubeconfig(f"adapter-{self.port}", plane.url, user, groups)
            ),
            "SINAL_NATS_URL": nats_url,
            "SINAL_PORT": str(self._plain),
            "SINAL_ADAPTER_PORT": str(self.port),
            "SINAL_ADAPTER_NAMESPACE": namespace,
            **(settings or {}),
        }
        command = [sys.executable, "-m", "sinal_cli", "run", "metrics-adapter"]
        self.log = folder / f"adapter-{self.port}.log"
        self._service = Service("metrics-adapter", command, log=self.log, env=environment)

    @property
    def address(self) -> str:
        """Host and port where probes and scrapers are answered."""
        return f"127.0.0.1:{self._plain}"

    @property
    def pid(self) -> int:
        """Process id."""
        return self._service.pid

    def start(self) -> None:
        """Start the process, new or again."""
        self._service.spawn()

    def kill(self) -> None:
        """SIGKILL."""
        self._service.kill()

    def wait_ready(self, timeout_s: float = 120) -> None:
        """Wait until it says so."""
        try:
            until(lambda: self.plain("/readyz")[0] == 200, timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(
                f"the adapter is not ready: {self.plain('/readyz')}\n{self.said}"
            ) from error

    def wait_standing(self, word: str) -> tuple[int, dict[str, Any]]:
        """Status and body of its readiness once it has something to say of this."""
        until(lambda: self.plain("/readyz")[1].get(word), timeout_s=120)
        return self.plain("/readyz")

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._service.tail(40)

    def status(self, path: str, *, context: ssl.SSLContext) -> int:
        """Status over TLS of what is not JSON."""
        with urllib.request.urlopen(
            f"https://127.0.0.1:{self.port}{path}", timeout=10, context=context
        ) as answer:
            return int(answer.status)

    def plain(self, path: str) -> tuple[int, dict[str, Any]]:
        """An answer over plain HTTP: status and body; 0 when there is none."""
        return _ask(f"http://127.0.0.1:{self._plain}{path}")

    def direct(
        self, path: str, *, headers: Mapping[str, str] | None = None, context: ssl.SSLContext
    ) -> tuple[int, dict[str, Any]]:
        """An answer over TLS without the API server in between."""
        return _ask(f"https://127.0.0.1:{self.port}{path}", headers, context)


def prepare(kubectl: Kubectl) -> None:
    """Everything that replicas need but the APIService."""
    everywhere = kubectl.in_namespace("")
    for manifest in rights(kubectl.namespace):
        (everywhere if manifest["metadata"].get("namespace") else kubectl).apply(manifest)
    kubectl.apply(service())


@contextmanager
def registered(kubectl: Kubectl, *replicas: AdapterProcess) -> Iterator[None]:
    """Replicas that serve, the first of them for the API server."""
    prepare(kubectl)
    kubectl.apply(registration(kubectl.namespace, replicas[0].port))
    try:
        for replica in replicas:
            replica.start()
        for replica in replicas:
            replica.wait_ready()
        kubectl.do(
            "wait", f"apiservice/{API_SERVICE}", "--for=condition=Available", "--timeout=120s"
        )
        yield
    finally:
        # it would break every discovery
        kubectl.run("delete", "apiservice", API_SERVICE, "--ignore-not-found")
        for replica in replicas:
            replica.kill()


def trusting(kubectl: Kubectl) -> ssl.SSLContext:
    """A client that trusts what the adapter's Secret says.

    Its name is not this machine's, so that is not compared.
    """
    return trusting_in(kubectl.get("secret", SECRET))


def trusting_in(secret: Manifest) -> ssl.SSLContext:
    """The same of a Secret that was read already."""
    data = secret["data"]
    context = ssl.create_default_context(cadata=base64.b64decode(data["ca.crt"]).decode())
    context.check_hostname = False
    return context


def values(kubectl: Kubectl, selector: str, metric: str = "sinal_queue_depth") -> list[str]:
    """Values of a metric, asked through the API server."""
    path = f"/apis/{GROUP}/v1beta1/namespaces/{kubectl.namespace}/{metric}?labelSelector={selector}"
    done = kubectl.run("get", "--raw", path)
    return (
        [item["value"] for item in json.loads(done.stdout)["items"]] if done.returncode == 0 else []
    )


def _ask(
    url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
    except (urllib.error.URLError, OSError) as error:
        return 0, {"error": str(error)}


def _rules(kind: str, name: str, rules: list[Manifest], namespace: str | None = None) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "rules": rules,
    }


def _binding(
    kind: str, name: str, role: tuple[str, str], subject: Manifest, namespace: str | None = None
) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role[0], "name": role[1]},
        "subjects": [subject],
    }
