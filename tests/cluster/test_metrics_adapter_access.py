"""Who may read the metrics is decided by the API server: nobody unknown, nobody without the
right.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.support.adapter import GROUP, AdapterProcess, registered, trusting
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess


@pytest.fixture
def adapter(
    control_plane: ControlPlane, kubectl: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[AdapterProcess]:
    """One replica, registered and ready."""
    process = AdapterProcess(
        tmp_path, control_plane, namespace=kubectl.namespace, nats_url=nats_server.url
    )
    with registered(kubectl, process):
        yield process


@pytest.fixture
def path(kubectl: Kubectl) -> str:
    """Where the depth is."""
    return f"/apis/{GROUP}/v1beta1/namespaces/{kubectl.namespace}/sinal_queue_depth"


def _token(kubectl: Kubectl, account: str) -> dict[str, str]:
    """Headers of a service account made for this."""
    kubectl.do("create", "serviceaccount", account)
    return {"Authorization": f"Bearer {kubectl.do('create', 'token', account).strip()}"}


def test_nobody_unknown_gets_an_answer(
    adapter: AdapterProcess, kubectl: Kubectl, path: str
) -> None:
    context = trusting(kubectl)
    for headers in (
        {},
        {"Authorization": "Bearer made-up"},
        {"Authorization": "Basic YTpi"},
        {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
    ):
        status, body = adapter.direct(path, headers=headers, context=context)
        assert (status, body["kind"], body["reason"]) == (401, "Status", "Unauthorized")
    assert adapter.direct("/apis", context=context)[0] == 401


def test_a_certificate_of_another_authority_speaks_for_nobody(
    adapter: AdapterProcess, kubectl: Kubectl, control_plane: ControlPlane, path: str
) -> None:
    context = trusting(kubectl)
    own = control_plane.authority.issue("impostor", "front-proxy")
    context.load_cert_chain(own, own.with_suffix(".key"))
    status, _ = adapter.direct(path, headers={"X-Remote-User": "admin"}, context=context)
    assert status in (0, 401)


def test_the_front_proxys_authority_speaks_only_under_allowed_names(
    adapter: AdapterProcess, kubectl: Kubectl, control_plane: ControlPlane, path: str
) -> None:
    forged = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
    context = _with(trusting(kubectl), control_plane.front.issue("somebody", "somebody"))
    assert adapter.direct(path, headers=forged, context=context)[0] == 401
    context = _with(trusting(kubectl), control_plane.front.issue("front-proxy-2", "front-proxy"))
    assert adapter.direct(path, headers=forged, context=context)[0] == 200
    assert adapter.direct(path, context=context)[0] == 401


def test_an_account_needs_the_right(adapter: AdapterProcess, kubectl: Kubectl, path: str) -> None:
    context, headers = trusting(kubectl), _token(kubectl, "reader")
    status, body = adapter.direct(path, headers=headers, context=context)
    assert (status, body["reason"]) == (403, "Forbidden")
    assert f"system:serviceaccount:{kubectl.namespace}:reader" in body["message"]

    rules = [{"apiGroups": [GROUP], "resources": ["sinal_queue_depth"], "verbs": ["list"]}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "depths"},
    }
    kubectl.apply({**role, "rules": rules})
    kubectl.do(
        "create",
        "rolebinding",
        "depths",
        "--role=depths",
        f"--serviceaccount={kubectl.namespace}:another",
    )
    status, body = adapter.direct(path, headers=_token(kubectl, "another"), context=context)
    assert status == 200
    assert [(item["metricLabels"], item["value"]) for item in body["items"]] == [
        ({"role": "match"}, "0"),
        ({"role": "dispatch"}, "0"),
    ]


def test_through_the_api_server_it_is_the_asker_who_needs_the_right(
    adapter: AdapterProcess, kubectl: Kubectl, control_plane: ControlPlane, path: str
) -> None:
    config = control_plane.authority.kubeconfig("nobody", control_plane.url, "nobody")
    done = Kubectl(config).run("get", "--raw", path)
    assert done.returncode == 1 and "Forbidden" in done.stderr
    assert json.loads(kubectl.do("get", "--raw", path))["kind"] == "ExternalMetricValueList"


def test_what_there_is_not_is_a_status(
    adapter: AdapterProcess, kubectl: Kubectl, path: str
) -> None:
    for asked, status, word in (
        (path.replace("depth", "width"), "NotFound", "sinal_queue_depth"),
        (f"{path}?labelSelector=role%3Dmach", "NotFound", "match and dispatch"),
        (f"{path}?labelSelector=role%3Dmatch%2Ctenant%3Dnobody", "NotFound", "tenant"),
        (f"{path}?labelSelector=zone%3Da", "BadRequest", "zone"),
    ):
        done = kubectl.run("get", "--raw", asked)
        assert done.returncode == 1
        assert status in done.stderr and word in done.stderr, done.stderr


def test_health_needs_no_name(adapter: AdapterProcess, kubectl: Kubectl) -> None:
    context = trusting(kubectl)
    for path in ("/healthz", "/livez", "/readyz"):
        assert adapter.status(path, context=context) == 200


def test_the_api_server_knows_what_there_is(adapter: AdapterProcess, kubectl: Kubectl) -> None:
    wanted = [f"sinal_queue_depth.{GROUP}", f"sinal_queue_oldest_seconds.{GROUP}"]
    asked = ("api-resources", f"--api-group={GROUP}", "-o", "name")
    until(lambda: sorted(kubectl.do(*asked).split()) == wanted, timeout_s=120)


def _with(context: ssl.SSLContext, certificate: Path) -> ssl.SSLContext:
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context
