"""Routes of tenants: made for hosts and paths, kept right, never anybody else's, and gone with their tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess

SHARED = "in.example"
TRACK = {"hosts": ["track.loja.example"]}
HOST_ROUTE, PATH_ROUTE = "sinal-h-track.loja.example", "sinal-t-loja"


@pytest.fixture
def house(kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in Sinal's own namespace."""
    there = kubectl.in_namespace(f"{kubectl.namespace}-sinal")
    there.do("create", "namespace", there.namespace)
    yield there
    there.run("delete", "ingress", "--all", "--wait=false")


@pytest.fixture
def routing(
    control_plane: ControlPlane, house: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts an operator that makes Ingresses, with more settings if given."""
    started: list[OperatorProcess] = []

    def start(*, wait: bool = True, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
        found = OperatorProcess(
            tmp_path,
            kubeconfig=kubeconfig or control_plane.kubeconfig,
            nats_url=nats_server.url,
            settings={
                "SINAL_PUBLIC_URL": f"https://{SHARED}",
                "SINAL_ROUTES": "ingress",
                "SINAL_ROUTES_NAMESPACE": house.namespace,
                **settings,
            },
        )
        started.append(found)
        found.start()
        if wait:
            found.wait_ready()
        return found

    yield start
    for one in started:
        one.kill()


def names(there: Kubectl) -> set[str]:
    """Ingresses of a namespace."""
    return {item["metadata"]["name"] for item in there.list("ingress")}


def accepted(kubectl: Kubectl, name: str = "loja") -> tuple[str | None, str | None]:
    """Status and reason of RoutesAccepted."""
    found = kubectl.condition("tenant", name, "RoutesAccepted")
    return found.get("status"), found.get("reason")


def site(name: str = "site", *, host: str = "track.loja.example", path: str = "/") -> dict[str, Any]:
    """Somebody else's Ingress."""
    backend = {"service": {"name": "site", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"rules": [rule]},
    }


def test_a_tenant_gets_a_route_for_each_host_and_for_its_path(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    kubectl.wait("tenant", "loja")
    assert names(house) == {HOST_ROUTE, PATH_ROUTE}
    tenant = kubectl.get("tenant", "loja")
    for name in names(house):
        labels = house.get("ingress", name)["metadata"]["labels"]
        assert labels["sinal.dev/tenant-uid"] == tenant["metadata"]["uid"]
        assert (labels["sinal.dev/tenant-namespace"], labels["sinal.dev/tenant-name"]) == (kubectl.namespace, "loja")
    condition = kubectl.condition("tenant", "loja", "RoutesAccepted")
    assert condition["observedGeneration"] == tenant["metadata"]["generation"]
    assert "in.example/t/loja/, track.loja.example" in condition["message"]

    kubectl.apply(shop.tenant(ingest={"hosts": ["go.loja.example"]}))
    until(lambda: names(house) == {"sinal-h-go.loja.example", PATH_ROUTE})
    kubectl.do("delete", "tenant", "loja", "--timeout=20s")
    until(lambda: names(house) == set(), timeout_s=5)
