"""From the version before to this one: the fast guard before tests/e2e does it on a cluster."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sinal_hub.store.migrate import load_migrations

from tests.chart.support import previous
from tests.chart.support.helm import DEFINITIONS, SINAL, Manifest, combination, objects, render
from tests.chart.support.immutable import conflicts

PRESENT = {"sinal": SINAL, "sinal-crds": DEFINITIONS}
Change = Callable[[Manifest], object]


def version(chart: Path) -> tuple[int, ...]:
    """A chart's version; of a folder or of a package."""
    text = (
        (chart / "Chart.yaml").read_text()
        if chart.is_dir()
        else f"version: {chart.stem.rpartition('-')[2]}"
    )
    return tuple(map(int, yaml.safe_load(text)["version"].split(".")))


@pytest.mark.parametrize("name", PRESENT)
def test_the_packaged_version_is_the_older_one(name: str) -> None:
    assert version(previous.chart(name)) < version(PRESENT[name])


@pytest.mark.parametrize("values", previous.VALUES, ids=lambda path: path.stem)
def test_an_installation_can_become_this_version(values: Path) -> None:
    """The values that people have are taken, and the cluster takes every change."""
    before = objects(render("--values", str(values), chart=previous.chart("sinal")))
    assert len(before) > 30
    assert conflicts(before, objects(render("--values", str(values), "--is-upgrade"))) == []


def test_volumes_of_the_services_are_kept() -> None:
    volumes = [f"evaluation.{name}.persistence.enabled=true" for name in ("nats", "postgres")]
    words = ("--values", str(combination("evaluation")), "--set", ",".join(volumes))
    before = objects(render(*words, chart=previous.chart("sinal")))
    assert sum(
        "volumeClaimTemplates" in manifest["spec"] for manifest in before if "spec" in manifest
    ) == len(volumes)
    assert conflicts(before, objects(render(*words))) == []


def test_definitions_keep_what_is_stored() -> None:
    before = objects(render(chart=previous.chart("sinal-crds")))
    assert len(before) == 4
    assert conflicts(before, objects(render(chart=DEFINITIONS))) == []


def test_migrations_that_databases_have_run_are_as_they_were() -> None:
    """An edited one would be refused by every database of the version before."""
    present = {migration.version: migration.checksum for migration in load_migrations()}
    before = previous.migrations()
    assert len(before) >= 5
    assert {version: present.get(version) for version in before} == before


@pytest.mark.parametrize(
    ("key", "change", "complaint"),
    [
        (
            "Deployment/sinal-match",
            lambda m: m["spec"]["selector"]["matchLabels"].update(new="label"),
            "new",
        ),
        ("StatefulSet/sinal-nats", lambda m: m["spec"].update(serviceName="other"), "serviceName"),
        (
            "StatefulSet/sinal-nats",
            lambda m: m["spec"].update(volumeClaimTemplates=[{}]),
            "volumeClaimTemplates",
        ),
        ("StatefulSet/sinal-nats", lambda m: m["metadata"].update(name="broker"), "is gone"),
        ("Service/sinal-ingest", lambda m: m["spec"].update(clusterIP="None"), "None"),
        (
            "ClusterRoleBinding/tracking:sinal-operator",
            lambda m: m["roleRef"].update(name="other"),
            "other",
        ),
    ],
)
def test_the_guard_sees(key: str, change: Change, complaint: str) -> None:
    before = objects(render("--values", str(combination("evaluation"))))
    after = copy.deepcopy(before)
    change(
        {f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in after}[key]
    )
    (found,) = conflicts(before, after)
    assert complaint in found


def test_the_guard_lets_pods_and_hooks_change() -> None:
    before = objects(render("--values", str(combination("own-services"))))
    image = ("--set", "image.tag=other,ingest.replicas=7,migration.waitSeconds=99")
    assert (
        conflicts(before, objects(render("--values", str(combination("own-services")), *image)))
        == []
    )
