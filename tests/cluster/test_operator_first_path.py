"""The shortest way: manifests applied on a real API server, and everything is ready."""

from __future__ import annotations

import time
from pathlib import Path

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_from_apply_to_ready_in_five_seconds(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(EXAMPLES)
    applied = time.monotonic()
    for kind in ("tenants", "destinations", "funnels", "gatewayintegrations"):
        kubectl.wait(kind, timeout_s=10)
    assert time.monotonic() - applied <= 5
