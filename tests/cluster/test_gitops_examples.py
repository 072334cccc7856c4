"""gitops/examples on a real API server with Argo CD's own definitions: every object is taken, with
no unknown field.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.support.assets import argo_cd
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.support import gitops
from tests.support.gitops import ENVIRONMENTS, EXAMPLES

NAMESPACES = ("argocd", "sinal")
STRICT = (
    "apply",
    "--server-side",
    "--dry-run=server",
    "--validate=strict",
    "-o",
    "name",
    "-f",
    "-",
)


@pytest.fixture(scope="module")
def argo(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """A cluster with Argo CD's kinds and none of its programs."""
    kubectl = Kubectl(control_plane.kubeconfig, "")
    for namespace in NAMESPACES:
        kubectl.run("create", "namespace", namespace)
    files = argo_cd()
    assert len(files) == 3
    for path in files:
        kubectl.do("apply", "--server-side", "-f", str(path))
    names = [f"crd/{yaml.safe_load(path.read_text())['metadata']['name']}" for path in files]
    kubectl.do("wait", *names, "--for=condition=Established", "--timeout=120s")
    yield kubectl
    kubectl.run("delete", *names, "--wait=false")


def _takes(argo: Kubectl, path: Path) -> None:
    found = gitops.documents(path)
    done = argo.run(*STRICT, stdin=yaml.safe_dump_all(found))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(found) > 0


def test_projects(argo: Kubectl) -> None:
    _takes(argo, EXAMPLES / "projects.yaml")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment(argo: Kubectl, environment: str) -> None:
    _takes(argo, EXAMPLES / f"root-{environment}.yaml")
    _takes(argo, EXAMPLES / "environments" / environment)


def test_a_slip_would_be_found(argo: Kubectl) -> None:
    (root,) = gitops.documents(EXAMPLES / "root-stage.yaml")
    root["spec"]["sorce"] = root["spec"].pop("source")
    done = argo.run(*STRICT, stdin=yaml.safe_dump(root))
    assert done.returncode != 0
    assert "sorce" in done.stderr
