"""The adapter's certificate: made once whoever comes first, changed while it serves, and nothing of
others touched.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.support.adapter import (
    API_SERVICE,
    GROUP,
    SECRET,
    AdapterProcess,
    prepare,
    registered,
    registration,
    trusting_in,
)
from tests.cluster.support.api import Api
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.support.nats_process import NatsProcess

Make = Callable[..., AdapterProcess]
DISCOVERY = f"/apis/{GROUP}/v1beta1"
REGISTRATION = f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}"


@pytest.fixture
def make(
    control_plane: ControlPlane, kubectl: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[Make]:
    """Replicas, each with settings of its own."""
    with ExitStack() as stack:

        def one(**settings: str) -> AdapterProcess:
            process = AdapterProcess(
                tmp_path,
                control_plane,
                namespace=kubectl.namespace,
                nats_url=nats_server.url,
                settings=settings,
            )
            stack.callback(process.kill)
            return process

        yield one


def _shown(adapter: AdapterProcess) -> str:
    """The certificate that a new connection sees."""
    return ssl.get_server_certificate(("127.0.0.1", adapter.port))


def _stored(kubectl: Kubectl, name: str) -> str:
    return base64.b64decode(kubectl.get("secret", SECRET)["data"][name]).decode()


def _bundle(kubectl: Kubectl) -> str:
    return base64.b64decode(
        kubectl.get("apiservice", API_SERVICE)["spec"].get("caBundle", "")
    ).decode()


def test_replicas_that_start_at_once_share_one_certificate(make: Make, kubectl: Kubectl) -> None:
    replicas = [make() for _ in range(3)]
    with registered(kubectl, *replicas):
        version = kubectl.get("secret", SECRET)["metadata"]["resourceVersion"]
        assert {_shown(replica).strip() for replica in replicas} == {
            _stored(kubectl, "tls.crt").strip()
        }
        assert _bundle(kubectl) == _stored(kubectl, "ca.crt")
        assert kubectl.get("secret", SECRET)["metadata"]["resourceVersion"] == version


async def test_a_certificate_is_changed_while_it_serves(
    make: Make, control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    """Two replicas, asked all the time, from before a rotation until the authority before it is
    forgotten.
    """
    replicas = [make(SINAL_ADAPTER_CERTIFICATE_HOURS=str(36 / 3600)) for _ in range(2)]
    with registered(kubectl, *replicas):
        first, before = _shown(replicas[1]), _bundle(kubectl)
        overlapped, forgotten = False, False
        async with Api(control_plane.kubeconfig, kubectl.namespace) as api, asyncio.timeout(300):
            while not forgotten:
                async with api.session.get(DISCOVERY) as answer:
                    assert answer.status == 200, await answer.text()
                async with api.session.get(REGISTRATION) as answer:
                    trusted = base64.b64decode((await answer.json())["spec"]["caBundle"]).decode()
                async with api.session.get(api.path("Secret", SECRET)) as answer:
                    context = trusting_in(await answer.json())
                assert (
                    await asyncio.to_thread(replicas[1].status, "/healthz", context=context) == 200
                )
                overlapped = overlapped or (before in trusted and trusted != before)
                forgotten = before not in trusted
                await asyncio.sleep(0.05)  # those who are asked have their own work to do
        assert overlapped and forgotten
        assert _shown(replicas[1]) != first


def test_an_api_service_of_somebody_else_is_left_alone(make: Make, kubectl: Kubectl) -> None:
    adapter = make()
    prepare(kubectl)
    theirs = registration(kubectl.namespace, 443, name="keda-metrics-apiserver")
    kubectl.apply(theirs)
    try:
        adapter.start()
        status, body = adapter.wait_standing("certificate")
        assert (status, body["apiservice"]) == (503, False)
        assert "keda-metrics-apiserver" in body["reason"]
        spec = kubectl.get("apiservice", API_SERVICE)["spec"]
        assert spec["service"]["name"] == "keda-metrics-apiserver" and "caBundle" not in spec
        assert adapter.plain("/depth/match")[0] == 200
    finally:
        kubectl.do("delete", "apiservice", API_SERVICE)


def test_a_secret_of_somebody_else_is_left_alone(make: Make, kubectl: Kubectl) -> None:
    adapter = make()
    prepare(kubectl)
    kubectl.do("create", "secret", "generic", SECRET, "--from-literal=mine=1")
    adapter.start()
    _, body = adapter.wait_standing("reason")
    assert SECRET in body["reason"] and not body["certificate"]
    assert kubectl.get("secret", SECRET)["data"] == {"mine": base64.b64encode(b"1").decode()}


def test_the_right_that_is_missing_is_named(make: Make, kubectl: Kubectl) -> None:
    adapter = make()
    adapter.start()
    _, body = adapter.wait_standing("reason")
    assert "extension-apiserver-authentication" in body["reason"] and "403" in body["reason"]


def test_the_key_is_in_the_secret_and_nowhere_else(make: Make, kubectl: Kubectl) -> None:
    adapter = make()
    with registered(kubectl, adapter):
        key = _stored(kubectl, "tls.key").splitlines()[1]
        assert key not in adapter.said
        assert key not in json.dumps(adapter.plain("/readyz")[1])
        assert "ca.key" not in kubectl.get("secret", SECRET)["data"]


def test_depths_alone_need_no_cluster(make: Make) -> None:
    adapter = make(SINAL_ADAPTER_EXTERNAL_METRICS="false", KUBECONFIG="/nowhere")
    adapter.start()
    adapter.wait_ready()
    status, body = adapter.plain("/depth")
    assert status == 200
    assert [(one["role"], one["depth"], one["oldest_seconds"]) for one in body["roles"]] == [
        ("match", 0, 0.0),
        ("dispatch", 0, 0.0),
    ]
    assert adapter.plain("/depth/mach")[0] == 404
