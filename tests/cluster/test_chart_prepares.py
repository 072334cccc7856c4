"""The hook before an installation, with its own rights: Secrets made once and kept, an unfit
cluster refused.
"""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinal_crds.keyring import Keyring
from sinal_crds.rights import RIGHTS

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.release import Release

EXTERNAL = "v1beta1.external.metrics.k8s.io"
PARTS = ("sinal-keyring-runtime", "sinal-keyring-edge")
SECRETS = ("sinal-keyring", *PARTS, "sinal-admin", "sinal-api-login", "sinal-evaluation")


@pytest.fixture(params=["evaluation"])
def preparing(
    request: pytest.FixtureRequest, control_plane: ControlPlane, kubectl: Kubectl
) -> Iterator[Release]:
    release = Release(control_plane, kubectl.namespace, request.param)
    release.grant()
    yield release
    release.revoke()


def arguments(release: Release) -> list[str]:
    """What the chart's Job is started with."""
    (job,) = (
        one
        for one in release.objects
        if one["metadata"]["name"] == "sinal-prepare" and one["kind"] == "Job"
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return [str(word) for word in container["args"]]


def sinal(kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sinal_cli", *words]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    return subprocess.run(
        command, env=environment, text=True, capture_output=True, check=False, timeout=120
    )


def contents(kubectl: Kubectl, name: str) -> dict[str, bytes]:
    return {
        key: base64.b64decode(value) for key, value in kubectl.get("secret", name)["data"].items()
    }


def registration(namespace: str, service: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": EXTERNAL},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": namespace, "name": service, "port": 443},
        },
    }


def test_secrets_are_made_once_and_kept(preparing: Release, kubectl: Kubectl) -> None:
    account = preparing.kubeconfig("prepare")
    first = sinal(account, *arguments(preparing))
    assert first.returncode == 0, first.stderr
    made = {name: contents(kubectl, name) for name in SECRETS}
    keyring = Keyring.from_json(made["sinal-keyring"]["keyring.json"])
    parts = [Keyring.from_json(made[name]["keyring.json"]) for name in PARTS]
    assert parts == [keyring.part_for("runtime"), keyring.part_for("edge")]
    assert len(made["sinal-admin"]["admin-key"]) == len(made["sinal-api-login"]["password"]) == 48
    assert sorted(made["sinal-evaluation"]) == [
        "nats-password", "postgres-password", "redis-password", "worker-password",
    ]  # fmt: skip
    assert len(set(made["sinal-evaluation"].values())) == 4
    for secret in made.values():
        for value in secret.values():
            assert value.decode() not in first.stdout + first.stderr

    second = sinal(account, *arguments(preparing))
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("was there") == len(SECRETS)
    assert {name: contents(kubectl, name) for name in SECRETS} == made
    for name in SECRETS:
        labels = kubectl.get("secret", name)["metadata"]["labels"]
        # none by which Helm or Argo CD would take it away
        assert labels == {"sinal.dev/release": "sinal"}


def test_a_secret_without_its_key_is_named_and_left_alone(
    preparing: Release, kubectl: Kubectl
) -> None:
    kubectl.do("create", "secret", "generic", "sinal-keyring", "--from-literal=other=x")
    done = sinal(preparing.kubeconfig("prepare"), *arguments(preparing))
    assert done.returncode == 1
    assert f"{kubectl.namespace}/sinal-keyring is there but has no keyring.json" in done.stderr
    assert contents(kubectl, "sinal-keyring") == {"other": b"x"}


def test_users_of_nats_get_passwords(control_plane: ControlPlane, kubectl: Kubectl) -> None:
    words = (
        "install",
        "prepare",
        "--namespace",
        kubectl.namespace,
        "--release",
        "sinal",
        "--nats-users",
        "nats-users",
    )
    done = sinal(control_plane.kubeconfig, *words)
    assert done.returncode == 0, done.stderr
    made = contents(kubectl, "nats-users")
    assert set(made) == set(RIGHTS)
    assert len(set(made.values())) == len(RIGHTS)
    assert all(password.startswith(b"n") for password in made.values())


def test_a_keyring_of_the_release_before_gets_its_parts(
    preparing: Release, kubectl: Kubectl
) -> None:
    before = Keyring.generate()
    literal = f"--from-literal=keyring.json={before.to_json().decode()}"
    kubectl.do("create", "secret", "generic", "sinal-keyring", literal)
    assert sinal(preparing.kubeconfig("prepare"), *arguments(preparing)).returncode == 0
    assert Keyring.from_json(contents(kubectl, "sinal-keyring")["keyring.json"]) == before
    edge = Keyring.from_json(contents(kubectl, "sinal-keyring-edge")["keyring.json"])
    assert edge == before.part_for("edge")


def test_a_part_of_another_keyring_is_named(preparing: Release, kubectl: Kubectl) -> None:
    other = Keyring.generate().part_for("edge").to_json().decode()
    kubectl.do(
        "create", "secret", "generic", "sinal-keyring-edge", f"--from-literal=keyring.json={other}"
    )
    done = sinal(preparing.kubeconfig("prepare"), *arguments(preparing))
    assert done.returncode == 1
    assert (
        "sinal-keyring-edge is not a part of the keyring in sinal-keyring: delete it" in done.stderr
    )


def test_an_api_of_somebody_else_is_not_taken(preparing: Release, kubectl: Kubectl) -> None:
    account = preparing.kubeconfig("prepare")
    words = ("install", "prepare", "--namespace", kubectl.namespace, "--release", "sinal")
    asking = (*words, "--external-metrics", "sinal-metrics-adapter")
    kubectl.apply(registration("keda", "keda-operator-metrics-apiserver"))
    try:
        refused = sinal(account, *asking)
        assert refused.returncode == 1
        assert "belongs to keda/keda-operator-metrics-apiserver" in refused.stderr
        assert "autoscaling.mode" in refused.stderr
        kubectl.apply(registration(kubectl.namespace, "sinal-metrics-adapter"))
        assert sinal(account, *asking).returncode == 0
    finally:
        kubectl.do("delete", "apiservice", EXTERNAL)
    assert sinal(account, *asking).returncode == 0


def test_a_rotated_keyring_opens_what_the_old_one_sealed(
    control_plane: ControlPlane, preparing: Release, kubectl: Kubectl
) -> None:
    assert sinal(preparing.kubeconfig("prepare"), *arguments(preparing)).returncode == 0
    before = Keyring.from_json(contents(kubectl, "sinal-keyring")["keyring.json"])
    rotate = ("keyring", "rotate", "--secret", "sinal-keyring", "--namespace", kubectl.namespace)

    # the hook may make a keyring and may not change it
    refused = sinal(preparing.kubeconfig("prepare"), *rotate)
    assert refused.returncode == 1
    assert "403" in refused.stderr

    done = sinal(control_plane.kubeconfig, *rotate)
    assert done.returncode == 0, done.stderr
    after = Keyring.from_json(contents(kubectl, "sinal-keyring")["keyring.json"])
    assert after.primary != before.primary
    assert after.key(before.primary) == before.key(before.primary)
    assert after.mint("webhook", "loja") == before.mint("webhook", "loja")
    parts = [Keyring.from_json(contents(kubectl, name)["keyring.json"]) for name in PARTS]
    assert parts == [after.part_for("runtime"), after.part_for("edge")]


def test_a_cluster_without_our_definitions_is_named() -> None:
    from sinal_operator.install import Unfit, definitions_served

    class Nothing:
        async def get(self, *_: object) -> None:
            return None

    nothing: Any = Nothing()
    with pytest.raises(
        Unfit,
        match=r"tenants\.sinal\.dev is missing: install the chart sinal-crds "
        r"first",
    ):
        asyncio.run(definitions_served(nothing))
