"""Runbooks' commands that only look, asked of a real API server that has the objects they look
at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sinal_crds.names import GROUP

from tests.chart.support.helm import RELEASE, combination, objects, render
from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.support import runbooks
from tests.support.nats_process import NatsProcess
from tests.support.runbooks import Step

# want a kubelet, metrics-server, others' definitions
ELSEWHERE = (" logs ", " top ", " exec ", "podmonitors", " -w")
# there are none without a kubelet: the labels are those of tests/chart
PODS = ("get pods", "describe pod ")
# What a page tells its reader to look at.
SHOWS: Mapping[str, tuple[str, ...]] = {
    "describe destination": ("Access Token Secret Ref", "Conditions:", "Reason:"),
    "describe gatewayintegration": ("CredentialsValid", "Webhook URL"),
    "describe gwi": ("CredentialsValid", "Webhook URL"),
    "describe secret": ("hottok:",),
    "describe tenant": ("Ready", "Reason:", "Message:"),
    "describe hpa": ("sinal-match", "sinal_queue_depth"),
    "get cronjob,job": ("cronjob.batch/sinal-backup", "SCHEDULE"),
    "get destination pixel -o yaml": ("pixelId", "conditions:"),
    "get destinations": ("READY", "REASON", "pixel"),
    "get events": ("REASON", "MESSAGE"),
    "get gatewayintegrations -o wide": ("READY", "vendas"),
    "get gwi": ("READY", "vendas"),
    "{.items[*].status.alsoTaken}": (),
    "get hpa": ("TARGETS", "MAXPODS", "sinal-match"),
    "get lease": ("HOLDER", "sinal-operator"),
    "get pvc": ("STATUS", "sinal-backup"),
    "get networkpolicies": ("sinal-default",),
    "get secret -l sinal.dev/release": ("sinal-keyring",),
    "get secret keys -o jsonpath": ("20",),
    "get sinal -A": ("pixel", "SecretKeyMissing"),
    "get tenants,destinations -A": ("pixel", "SecretKeyMissing"),
    "get tenants,funnels": ("loja", "curso", "vendas"),
    "auth can-i": ("yes",),
}
# What Helm makes in one way of installing or another, and what the prepare Job makes.
INSTALLED: Mapping[str, tuple[str, ...]] = {
    "external-metrics": ("HorizontalPodAutoscaler", "NetworkPolicy"),
    "backup": ("CronJob", "PersistentVolumeClaim"),
}
PREPARED = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": f"{RELEASE}-keyring", "labels": {f"{GROUP}/release": RELEASE}},
}


@pytest.fixture
def declared(
    account: Path, nats_server: NatsProcess, kubectl: Kubectl, tmp_path: Path
) -> Iterator[Kubectl]:
    """A shop whose Secret lacks the token, a release's autoscalers and policies, and the operator's
    Lease.
    """
    settings = {
        "SINAL_LEASE_NAMESPACE": kubectl.namespace,
        "SINAL_LEASE_NAME": f"{RELEASE}-operator",
    }
    operator = OperatorProcess(
        tmp_path, kubeconfig=account, nats_url=nats_server.url, settings=settings
    )
    operator.start()
    kubectl.apply(
        {**shop.secret(), "data": {"hottok": "aG90dG9r"}},
        shop.tenant(),
        shop.destination(),
        shop.funnel(),
    )
    kubectl.apply(shop.integration())
    kubectl.apply(PREPARED)
    for ways, kinds in INSTALLED.items():
        for item in objects(render("--values", str(combination(ways)), namespace="any")):
            if item["kind"] in kinds:
                item["metadata"].pop("namespace", None)
                kubectl.apply(item)
    kubectl.wait("tenants", timeout_s=120)
    kubectl.wait("gatewayintegrations", timeout_s=120)
    kubectl.wait("destinations", condition="Ready=False", timeout_s=120)
    yield kubectl
    operator.kill()


def looking() -> list[Step]:
    """Every step that asks this API server and changes nothing."""
    steps = [
        step
        for page in runbooks.pages()
        for step in (*runbooks.first_steps(page), *runbooks.further_steps(page))
    ]
    asked = [
        part
        for step in steps
        for part in (Step(step.page, one) for one in step.command.split("; "))
    ]
    reading = re.compile(r"kubectl (-n \S+ )?(get|describe|auth) ")
    return [
        step
        for step in asked
        if reading.match(step.command) and not any(word in step.command for word in ELSEWHERE)
    ]


def test_each_looks_where_something_is(declared: Kubectl, control_plane: ControlPlane) -> None:
    words = {
        "NAMESPACE": declared.namespace, "-n sinal ": f"-n {declared.namespace} ", "SECRET": "keys", "KIND": "tenant",
        "serviceaccount:sinal:": f"serviceaccount:{declared.namespace}:",
    }  # fmt: skip
    words["INTEGRATION"] = "vendas"
    names = {
        "describe destination": "pixel",
        "get destination ": "pixel",
        "describe gatewayintegration": "vendas",
    }
    wrong, met = [], set()
    for step in looking():
        if "apiservice" in step.command or "secrets | grep" in step.command:
            continue  # the adapter's: tests/cluster/test_metrics_adapter_certificates.py
        name = next((name for part, name in names.items() if part in step.command), "loja")
        command = step.filled({**words, "NAME": name} | {"NAMESPACE": declared.namespace})
        done = ask(command, control_plane)
        asked = command.replace(f"-n {declared.namespace} ", "")
        found = [
            part
            for part in SHOWS
            if part in asked and not (part == "get gwi" and "jsonpath" in asked)
        ]
        met.update(found)
        if not found and not any(pods in command for pods in PODS):
            wrong.append(f"{step}: nothing is said here of what it shows")
        if done.returncode or any(
            word not in done.stdout for part in found for word in SHOWS[part]
        ):
            wrong.append(
                f"{step}\n{command}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
    assert not wrong, "\n\n".join(wrong)
    assert met == SHOWS.keys()


def ask(command: str, plane: ControlPlane) -> subprocess.CompletedProcess[str]:
    """A line as a shell runs it."""
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig), "PATH": path}
    shell = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(
        shell, env=environment, text=True, capture_output=True, check=False, timeout=120
    )
