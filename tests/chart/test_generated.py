"""What is made of the model and of the definitions is as it is in the checkout."""

from __future__ import annotations

import tomllib

import pytest
import yaml

from charts.generator.__main__ import CHARTS, made
from tests.chart.support.helm import DEFINITIONS, SINAL, combination, helm, objects, render

MADE = made()


@pytest.mark.parametrize("path", sorted(MADE), ids=lambda path: str(path.relative_to(CHARTS)))
def test_file_is_as_made(path: object) -> None:
    from pathlib import Path

    assert isinstance(path, Path)
    assert path.read_text(encoding="utf-8") == MADE[path], "make chart"


def test_no_definition_of_a_kind_that_is_gone() -> None:
    there = {path.name for path in (DEFINITIONS / "templates").iterdir()}
    assert there == {path.name for path in MADE if path.parent == DEFINITIONS / "templates"}


def test_definitions_stay_when_their_chart_goes() -> None:
    definitions = objects(render(chart=DEFINITIONS))
    assert len(definitions) == 4
    for definition in definitions:
        assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize(
    "which", ["own-services", "evaluation", "external-metrics", "keda", "namespaced"]
)
def test_helm_finds_nothing_to_complain_of(which: str) -> None:
    done = helm(
        "lint", "--strict", str(SINAL), str(DEFINITIONS), "--values", str(combination(which))
    )
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout
    assert "ERROR" not in done.stdout


def test_there_is_one_version() -> None:
    """Of code, image and charts: bumped in pyproject.toml, and `make chart`."""
    project = tomllib.loads((CHARTS.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    version = project["version"]
    for chart in (SINAL, DEFINITIONS):
        told = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
        assert (told["version"], told["appVersion"]) == (version, version)
    lines = render("--values", str(combination("own-services"))).splitlines()
    images = {line.split("image: ")[1] for line in lines if "image: " in line}
    assert images == {f"registry.example/team/sinal:{version}"}
