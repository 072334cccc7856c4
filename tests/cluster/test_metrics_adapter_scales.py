"""A real autoscaler moves Deployments with a real backlog, through the API server and back.

No pod runs here: the autoscaler reads the metric and writes the scale, which is all that is asked
of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinal_core.nats import Bus, Outgoing

from tests.cluster.support.adapter import AdapterProcess, registered, values
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import until
from tests.support.fix_bus import MakeTenant
from tests.support.nats_process import NatsProcess

UP_S = 60.0


@pytest.fixture
def adapter(
    control_plane: ControlPlane, kubectl: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[AdapterProcess]:
    """One replica, registered and ready, beside all controllers."""
    control_plane.start_controllers()
    process = AdapterProcess(
        tmp_path, control_plane, namespace=kubectl.namespace, nats_url=nats_server.url
    )
    with registered(kubectl, process):
        yield process


def _deployment(role: str) -> dict[str, Any]:
    labels = {"app": role}
    container = {"name": role, "image": "registry.invalid/sinal"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": role},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _autoscaler(role: str) -> dict[str, Any]:
    metric = {
        "type": "External",
        "external": {
            "metric": {"name": "sinal_queue_depth", "selector": {"matchLabels": {"role": role}}},
            "target": {"type": "AverageValue", "averageValue": "100"},
        },
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": role},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": role},
            "minReplicas": 1,
            "maxReplicas": 8,
            "metrics": [metric],
        },
    }


def _replicas(kubectl: Kubectl, role: str) -> int:
    return int(kubectl.get("deployment", role)["spec"]["replicas"])


def _active(kubectl: Kubectl, role: str) -> tuple[str, str]:
    condition = kubectl.condition("hpa", role, "ScalingActive")
    return condition.get("status", ""), condition.get("reason", "")


async def _queue(bus: Bus, subject: str, count: int) -> None:
    done = await bus.publish_many([Outgoing(subject, b"x", f"{subject}-{n}") for n in range(count)])
    assert not [one for one in done if isinstance(one, Exception)]


async def test_the_backlog_moves_both_deployments_up_and_down(
    adapter: AdapterProcess, kubectl: Kubectl, bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja", "match", "dispatch-pixel")
    await make_tenant("outra", "match", "dispatch-pixel")
    assert values(kubectl, "role=match") == ["0"]
    for role in ("match", "dispatch"):
        kubectl.apply(_deployment(role), _autoscaler(role))
    until(lambda: _active(kubectl, "match") == ("True", "ValidMetricFound"), timeout_s=UP_S)

    await _queue(bus, "t.loja.in.click", 350)
    await _queue(bus, "t.outra.in.click", 300)
    await _queue(bus, "t.loja.out.pixel", 150)
    until(
        lambda: (
            (values(kubectl, "role=match"), values(kubectl, "role=dispatch")) == (["650"], ["150"])
        )
    )
    until(lambda: _replicas(kubectl, "match") == 7, timeout_s=UP_S)
    until(lambda: _replicas(kubectl, "dispatch") == 2, timeout_s=UP_S)

    await bus.api("STREAM.PURGE.T-loja")
    await bus.api("STREAM.PURGE.T-outra")
    until(lambda: values(kubectl, "role=match") == ["0"])
    until(
        lambda: _replicas(kubectl, "match") == 1 and _replicas(kubectl, "dispatch") == 1,
        timeout_s=UP_S,
    )
    assert _active(kubectl, "match")[0] == "True"


async def test_without_an_adapter_or_a_broker_the_size_stays(
    adapter: AdapterProcess,
    kubectl: Kubectl,
    bus: Bus,
    make_tenant: MakeTenant,
    nats_server: NatsProcess,
) -> None:
    await make_tenant("loja")
    kubectl.apply(_deployment("match"), _autoscaler("match"))
    await _queue(bus, "t.loja.in.click", 450)
    until(lambda: _replicas(kubectl, "match") == 5, timeout_s=UP_S)

    adapter.kill()
    until(lambda: _active(kubectl, "match") == ("False", "FailedGetExternalMetric"), timeout_s=UP_S)
    assert _replicas(kubectl, "match") == 5

    adapter.start()
    adapter.wait_ready()
    until(lambda: _active(kubectl, "match")[0] == "True", timeout_s=UP_S)

    nats_server.kill()
    until(lambda: _active(kubectl, "match") == ("False", "FailedGetExternalMetric"), timeout_s=UP_S)
    assert adapter.plain("/depth/match")[0] == 503
    status, body = adapter.plain("/readyz")
    assert (status, body["nats"]) == (200, False)
    kubectl.do("get", "--raw", "/apis/external.metrics.k8s.io/v1beta1")
    assert _replicas(kubectl, "match") == 5

    # its consumers were in memory: what they had to work on counts all the same
    nats_server.start()
    until(lambda: values(kubectl, "role=match") == ["450"], timeout_s=UP_S)
