"""Roles that ask an API server take its client and leave its generated classes: those are most of
what it could cost.

The image does not hold them (images/prune.py), so a role that imported one would not start there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.support.adapter import AdapterProcess, registered
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.support.imports import PROFILED, imported, within
from tests.support.nats_process import NatsProcess

# Generated from the API's description: a class for each kind, and for each group one that names all
# its kinds.
GENERATED = (
    "kubernetes.client.api",
    "kubernetes.client.models",
    "kubernetes.aio.client.api",
    "kubernetes.aio.client.models",
)
OF_KOPF = {  # which takes objects of that client too, where it is installed
    "kubernetes.client.models.v1_managed_fields_entry",
    "kubernetes.client.models.v1_object_meta",
    "kubernetes.client.models.v1_owner_reference",
}
# Packages that other roles have for work that these two don't do.
OF_OTHERS = (
    "fastapi",
    "httpx",
    "opentelemetry",
    "phonenumbers",
    "psycopg",
    "redis",
    "sinal_sandbox",
)


@pytest.fixture
def adapter(
    control_plane: ControlPlane, kubectl: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[str]:
    """The log of an adapter that serves the API server."""
    process = AdapterProcess(
        tmp_path,
        control_plane,
        namespace=kubectl.namespace,
        nats_url=nats_server.url,
        settings=PROFILED,
    )
    with registered(kubectl, process):
        yield process.log.read_text(errors="replace")


@pytest.fixture
def operator_of_the_cluster(
    account: Path, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[str]:
    """The log of an operator that has seen the cluster."""
    process = OperatorProcess(
        tmp_path, kubeconfig=account, nats_url=nats_server.url, settings=PROFILED
    )
    process.start()
    process.wait_ready()
    yield process.log.read_text(errors="replace")
    process.kill()


def _generated(modules: frozenset[str]) -> set[str]:
    """Generated classes' modules that are there."""
    return {name for package in GENERATED for name in within(package, modules)} - set(GENERATED)


def _of_others(modules: frozenset[str]) -> set[str]:
    return {name for package in OF_OTHERS for name in within(package, modules)}


def test_the_adapter(adapter: str) -> None:
    modules = imported(adapter)
    assert within("kubernetes.aio.config", modules)
    assert _generated(modules) == set()
    assert _of_others(modules) | within("kopf", modules) == set()


def test_the_operator(operator_of_the_cluster: str) -> None:
    modules = imported(operator_of_the_cluster)
    assert within("kubernetes.aio.config", modules)
    assert _generated(modules) <= OF_KOPF
    assert _of_others(modules) == set()
