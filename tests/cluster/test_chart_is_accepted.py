"""Every object of the chart is taken by a real API server of 1.34, with no field that it does not
know.

Kinds of others (KEDA, the Prometheus operator) are defined with nothing but their names: whether
their fields are right is what their own documentation says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.support.helm import DEFINITIONS, NAMESPACE, SINAL, combination, objects, render
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import until

COMBINATIONS = sorted(path.stem for path in (SINAL / "ci").glob("*.yaml"))
CLUSTERWIDE = {"ClusterRole", "ClusterRoleBinding", "PriorityClass", "APIService"}
OTHERS = {
    "ScaledObject": ("keda.sh", "v1alpha1", "scaledobjects"),
    "PodMonitor": ("monitoring.coreos.com", "v1", "podmonitors"),
    "PrometheusRule": ("monitoring.coreos.com", "v1", "prometheusrules"),
}


def _definition(kind: str, group: str, version: str, plural: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "plural": plural,
                "singular": kind.lower(),
                "listKind": f"{kind}List",
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                },
            ],
        },
    }


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """A cluster with the namespaces and kinds that the combinations speak of."""
    kubectl = Kubectl(control_plane.kubeconfig, NAMESPACE)
    for namespace in (NAMESPACE, "loja", "curso"):
        kubectl.run("create", "namespace", namespace)
    for kind, (group, version, plural) in OTHERS.items():
        kubectl.apply(_definition(kind, group, version, plural))
        kubectl.do("wait", f"crd/{plural}.{group}", "--for=condition=Established", "--timeout=120s")
        until(
            lambda plural=plural, group=group: (  # type: ignore[misc]
                kubectl.run("get", f"{plural}.{group}").returncode == 0
            ),
            timeout_s=120,
        )
    yield kubectl
    for group, _, plural in OTHERS.values():
        kubectl.run("delete", f"crd/{plural}.{group}", "--wait=false")


@pytest.mark.parametrize("which", COMBINATIONS)
def test_the_api_server_takes_every_object(cluster: Kubectl, which: str) -> None:
    text = render("--values", str(combination(which)))
    words = (
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "name",
        "-f",
        "-",
    )
    done = cluster.in_namespace("").run(*words, stdin=_in_namespaces(text))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(objects(text))
    assert "Warning" not in done.stderr, done.stderr


def test_the_api_server_takes_the_definitions(cluster: Kubectl) -> None:
    text = render(chart=DEFINITIONS)
    done = cluster.run(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=text,
    )
    assert done.returncode == 0, done.stderr


def test_a_field_that_kubernetes_does_not_know_would_be_found(cluster: Kubectl) -> None:
    words = (
        "--values",
        str(combination("own-services")),
        "--set",
        "match.affinity.nodeAffinty.required=x",
    )
    done = cluster.run(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=render(*words),
    )
    assert done.returncode != 0
    assert "nodeAffinty" in done.stderr


def _in_namespaces(text: str) -> str:
    """The objects as Helm sends them: those without a namespace go into the release's."""
    found = objects(text)
    for manifest in found:
        if manifest["kind"] not in CLUSTERWIDE:
            manifest["metadata"].setdefault("namespace", NAMESPACE)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": found})
