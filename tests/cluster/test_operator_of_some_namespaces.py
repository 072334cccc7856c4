"""An operator without any right over the cluster serves the namespaces that it was given, and no
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.release import SOMEWHERE, Release
from tests.cluster.support.shop import secret, shop
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess


@pytest.fixture
def elsewhere(kubectl: Kubectl) -> Kubectl:
    """kubectl in a namespace that is not served."""
    there = kubectl.in_namespace(f"{kubectl.namespace}-not-served")
    there.do("create", "namespace", there.namespace)
    return there


@pytest.fixture
def namespaced(
    control_plane: ControlPlane, kubectl: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The chart's operator of one namespace, started and ready."""
    release = Release(
        control_plane, kubectl.namespace, "namespaced", "--set", f"watchNamespaces={{{SOMEWHERE}}}"
    )
    release.grant()
    settings = {
        "SINAL_WATCH_NAMESPACES": kubectl.namespace,
        "SINAL_LEASE_NAMESPACE": kubectl.namespace,
    }
    process = OperatorProcess(
        tmp_path,
        kubeconfig=release.kubeconfig("operator"),
        nats_url=nats_server.url,
        settings=settings,
    )
    process.start()
    process.wait_ready()
    yield process
    process.kill()
    release.revoke()


def test_only_the_namespaces_given_are_served(
    namespaced: OperatorProcess, kubectl: Kubectl, elsewhere: Kubectl
) -> None:
    elsewhere.apply(shop())
    kubectl.apply(shop())
    for kind in ("tenant", "destination", "funnel", "gwi"):
        kubectl.wait(kind, timeout_s=120)
        (there,) = elsewhere.list(kind)
        # as the definition's default has it: nobody has looked
        conditions = there["status"]["conditions"]
        assert [(one["status"], one["reason"]) for one in conditions] == [("Unknown", "Pending")]
        assert "finalizers" not in there["metadata"]

    kubectl.apply(secret(hottok=b"hottok-2"))  # without the token: its watch tells
    until(
        lambda: kubectl.condition("destination", "pixel")["reason"] == "SecretKeyMissing",
        timeout_s=120,
    )
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    assert namespaced.running
    elsewhere.do("delete", "tenant", "loja", "--timeout=120s")
