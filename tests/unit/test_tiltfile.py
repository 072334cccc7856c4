"""The Tiltfile: Starlark is Python enough to be run with Tilt's functions noted down; what it names has to be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FUNCTIONS = (
    "allow_k8s_contexts",
    "docker_build",
    "helm_resource",
    "k8s_resource",
    "k8s_yaml",
    "load",
    "local_resource",
    "namespace_create",
)
Call = tuple[str, tuple[Any, ...], dict[str, Any]]


@pytest.fixture
def calls() -> list[Call]:
    """What the Tiltfile asks of Tilt, in its order."""
    noted: list[Call] = []

    def noting(name: str) -> Any:
        return lambda *positional, **named: noted.append((name, positional, named))

    builtins = {"str": str, "read_file": lambda path: (ROOT / path).read_text(), "blob": str}
    world = {"__builtins__": builtins, "TRIGGER_MODE_MANUAL": 1, **{name: noting(name) for name in FUNCTIONS}}
    exec(compile((ROOT / "Tiltfile").read_text(), "Tiltfile", "exec"), world)
    return noted


def of(calls: list[Call], function: str) -> list[Call]:
    """Calls of one function."""
    return [call for call in calls if call[0] == function]


def test_images_are_built_of_files_that_are_there(calls: list[Call]) -> None:
    for _, (_, context), named in of(calls, "docker_build"):
        assert all((ROOT / context / path).exists() for path in (named["dockerfile"], *named["only"]))


def test_each_image_of_the_chart_is_given_to_values_that_exist(calls: list[Call]) -> None:
    values = yaml.safe_load((ROOT / "charts/sinal/values.yaml").read_text())
    _, _, release = next(call for call in of(calls, "helm_resource") if call[1][0] == "sinal")
    assert len(release["image_deps"]) == len(release["image_keys"])
    for path in (path for pair in release["image_keys"] for path in pair):
        found = values
        for step in path.split("."):
            found = found[step]


def test_the_values_of_the_inner_loop_are_values_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "charts/sinal/values.yaml").read_text())
    loop = yaml.safe_load((ROOT / "tests/e2e/tilt-values.yaml").read_text())

    def unknown(given: dict[str, Any], known: dict[str, Any]) -> list[str]:
        return [
            name
            for name, value in given.items()
            if name not in known or (isinstance(value, dict) and unknown(value, known[name]))
        ]

    assert unknown(loop, values) == []


def test_whatever_waits_for_another_resource_waits_for_one_that_there_is(calls: list[Call]) -> None:
    made = {call[1][0] for call in calls if call[0] in ("helm_resource", "local_resource", "k8s_resource")}
    awaited = {name for call in calls for name in call[2].get("resource_deps", ())}
    assert awaited <= made
    assert "demo" in made
