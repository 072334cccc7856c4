"""A real Prometheus over the operator and the metrics adapter: every panel about those has data.

kube-state-metrics is a page here that it wrote over these very autoscalers (version 2.18): it takes
minutes to build. The other queries of the dashboards meet a Prometheus over a running platform, in
tests/monitoring.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.chart.support.helm import RELEASE, combination, objects, render
from tests.cluster.support import shop, state_page
from tests.cluster.support.adapter import AdapterProcess, registered
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.support.nats_process import NatsProcess
from tests.support.panels import asked
from tests.support.prometheus import Prometheus, Seen

VARIABLES = {"__rate_interval": "15s", "__range": "5m", "tenant": "loja", "destination": ".*"}
PATIENCE_S = 240.0


@pytest.fixture
def scraped(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    running: OperatorProcess,
    nats_server: NatsProcess,
    tmp_path: Path,
) -> Iterator[list[str]]:
    """Addresses of an operator, of an adapter that the API server asks, and of kube-state-metrics'
    page.
    """
    control_plane.start_controllers()
    adapter = AdapterProcess(
        tmp_path, control_plane, namespace=kubectl.namespace, nats_url=nats_server.url
    )
    with registered(kubectl, adapter), state_page.served() as states:
        yield [running.url.removeprefix("http://"), adapter.address, states]


@contextlib.asynccontextmanager
async def watching(
    program: str, folder: Path, targets: list[str]
) -> AsyncIterator[tuple[Prometheus, aiohttp.ClientSession]]:
    """Prometheus, and a session to ask it with."""
    prometheus = Prometheus(program, folder, targets)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        try:
            await prometheus.start()
            yield prometheus, session
        finally:
            await prometheus.stop()


def scaled(role: str) -> list[dict[str, Any]]:
    """The chart's autoscaler of a role, as it is rendered, and a Deployment without pods for it to
    move.
    """
    rendered = objects(render("--values", str(combination("external-metrics")), namespace="any"))
    name = f"{RELEASE}-{role}"
    found = [
        {
            **manifest,
            "metadata": {
                key: value for key, value in manifest["metadata"].items() if key != "namespace"
            },
        }
        for manifest in rendered
        if manifest["metadata"]["name"] == name
        and manifest["kind"] in ("Deployment", "HorizontalPodAutoscaler")
    ]
    assert len(found) == 2, [manifest["kind"] for manifest in found]
    return found


@pytest.mark.timeout(600)
async def test_panels_about_the_cluster_have_data(
    scraped: list[str], kubectl: Kubectl, tmp_path: Path, prometheus_program: str
) -> None:
    queries = [one for one in asked(VARIABLES) if one.of_the_cluster]
    assert len(queries) == 9, "\n".join(map(str, queries))
    kubectl.apply(shop.shop())
    kubectl.apply(*scaled("match"), *scaled("dispatch"))
    # a table of what is not ready needs a row
    kubectl.apply(shop.destination("sem-token", key="not-there"))
    async with watching(prometheus_program, tmp_path / "prometheus", scraped) as (
        prometheus,
        session,
    ):
        await Seen(prometheus, session, queries).all_with(within_s=PATIENCE_S)
