"""What the runbooks look at by name, label or path is what the chart installs under that name."""

from __future__ import annotations

import re

import pytest

from tests.chart.support.helm import Manifest, combination, objects, render
from tests.support import runbooks
from tests.support.runbooks import Step

STEPS = [
    step
    for page in runbooks.pages()
    for step in (*runbooks.first_steps(page), *runbooks.further_steps(page))
]


@pytest.fixture(scope="module")
def installed() -> list[Manifest]:
    """The release `sinal` in the namespace `sinal`, with evaluation services, the metrics adapter
    and backups.
    """
    settings = ("--set", "autoscaling.mode=external-metrics", "--set", "backup.enabled=true")
    values = ("--values", str(combination("evaluation")), *settings)
    return objects(render(*values, namespace="sinal"))


def pods(installed: list[Manifest]) -> dict[str, Manifest]:
    """Pod templates by component."""
    templates = [
        item["spec"]["template"]
        for item in installed
        if item["kind"] in ("Deployment", "StatefulSet")
    ]
    templates += [
        item["spec"]["jobTemplate"]["spec"]["template"]
        for item in installed
        if item["kind"] == "CronJob"
    ]
    return {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template
        for template in templates
    }


def test_components_are_labels_of_pods(installed: list[Manifest]) -> None:
    asked = [
        (step, words)
        for step in STEPS
        for words in re.findall(
            r"component(?:=| in "
            r"\()([\w,-]+)",
            step.command,
        )
    ]
    assert len(asked) > 20
    for step, words in asked:
        assert set(words.split(",")) - {"ROLE"} <= pods(installed).keys(), step


def test_objects_are_installed_under_these_names(installed: list[Manifest]) -> None:
    names = {(item["kind"].lower(), item["metadata"]["name"]) for item in installed}
    named = [
        (step, kind, name)
        for step in STEPS
        for kind, name in re.findall(
            r"\b(statefulset|deployment|apiservice|serviceaccount:sinal)[ :]([\w.-]+)", step.command
        )
    ]
    assert {kind for _, kind, _ in named} == {
        "statefulset",
        "deployment",
        "apiservice",
        "serviceaccount:sinal",
    }
    for step, kind, name in named:
        assert (kind.split(":")[0], name) in names, step


def test_folders_are_mounted_where_the_pages_look(installed: list[Manifest]) -> None:
    looked: list[tuple[Step, str, str]] = [
        (step, pod, folder)
        for step in STEPS
        for pod, folder in re.findall(r"exec (\S+) -- df -h (\S+)", step.command)
    ]
    assert len(looked) == 3
    for step, pod, folder in looked:
        component = {"POD": "ingest", "sinal-nats-0": "nats", "sinal-postgres-0": "postgres"}[pod]
        (container,) = pods(installed)[component]["spec"]["containers"]
        assert folder in {mount["mountPath"] for mount in container["volumeMounts"]}, step
