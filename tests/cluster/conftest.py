"""A real API server for a whole run, a namespace and an operator for each test, and real NATS."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sinal_crds.schema import FACES, MANIFESTS

from tests.cluster.support.assets import NoAssets
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.release import Release
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess
from tests.support.platform import Platform

PLURALS = tuple(f"{face.plural}.sinal.dev" for face in FACES.values())


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and the API server with our definitions."""
    try:
        plane = ControlPlane(tmp_path_factory.mktemp("plane"))
    except NoAssets as error:
        pytest.fail(str(error), pytrace=False)
    try:
        plane.start()
        kubectl = Kubectl(plane.kubeconfig)
        kubectl.do("apply", "-f", str(MANIFESTS))
        # kubectl fails on one that has no conditions yet
        names = [f"crd/{name}" for name in PLURALS]
        until(
            lambda: kubectl.run("wait", *names, "--for=condition=Established").returncode == 0,
            timeout_s=120,
        )
        until(
            lambda: all(kubectl.run("get", plural).returncode == 0 for plural in PLURALS),
            timeout_s=120,
        )
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl in a new namespace.

    Whatever objects of ours are left in the cluster are taken away afterwards.
    """
    admin = Kubectl(control_plane.kubeconfig)
    namespace = f"t-{uuid4().hex[:8]}"
    admin.do("create", "namespace", namespace)
    yield admin.in_namespace(namespace)
    for plural in PLURALS:
        for item in json.loads(admin.do("get", plural, "-A", "-o", "json"))["items"]:
            there = admin.in_namespace(item["metadata"]["namespace"])
            name = item["metadata"]["name"]
            there.run("delete", plural, name, "--wait=false", "--ignore-not-found")
            there.run(
                "patch", plural, name, "--type=merge", '--patch={"metadata":{"finalizers":null}}'
            )


@pytest.fixture
def release(control_plane: ControlPlane, kubectl: Kubectl) -> Iterator[Release]:
    """The chart's rights in the test's namespace, for accounts that have no others."""
    found = Release(control_plane, kubectl.namespace, "own-services")
    found.grant()
    yield found
    found.revoke()


@pytest.fixture
def account(release: Release) -> Path:
    """Credentials of the chart's operator."""
    return release.kubeconfig("operator")


@pytest.fixture
def operator(account: Path, nats_server: NatsProcess, tmp_path: Path) -> Iterator[OperatorProcess]:
    """`sinal run operator` with the rights that the chart gives it, not started yet."""
    process = OperatorProcess(tmp_path, kubeconfig=account, nats_url=nats_server.url)
    yield process
    process.kill()


@pytest.fixture
def running(operator: OperatorProcess) -> OperatorProcess:
    """The operator, started and ready."""
    operator.start()
    operator.wait_ready()
    return operator


@pytest.fixture
async def platform(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[Platform]:
    """All roles as processes; the operator has no files but a cluster."""
    settings = {"KUBECONFIG": str(control_plane.kubeconfig)}
    found = Platform(tmp_path, manifests=[], settings=settings)
    settings["SINAL_PUBLIC_URL"] = found.ingest
    try:
        await found.start()
        yield found
    finally:
        await found.stop()
