"""The Tiltfile, evaluated: what it names has to be there.

What Helm makes of its values is judged in tests/chart.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import starlark
import yaml

from tests.support.tiltfile import ROOT, Tilt, evaluate

CLUSTER = yaml.safe_load((ROOT / "tests/e2e/kind.yaml").read_text())


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    return evaluate()


def test_each_image_has_its_file_and_all_that_this_copies(tilt: Tilt) -> None:
    assert sorted(image["dockerfile"] for image in tilt.images.values()) == sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "images").glob("*.Dockerfile")
    )
    for image in tilt.images.values():
        context = ROOT / image["context"]
        assert all((context / path).exists() for path in image["only"])
        for source in copied((ROOT / image["dockerfile"]).read_text()):
            sent = any(Path(source).is_relative_to(path) for path in image["only"])
            assert sent, f"{image['dockerfile']} copies {source}"


def copied(dockerfile: str) -> list[str]:
    """Paths of the context that a container file copies and that have to be there."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1] if "[" not in source]


def test_an_image_is_given_to_a_release_once() -> None:
    """`tilt up` stopped at the Tiltfile: the services' image stood three times in image_deps."""
    with pytest.raises(starlark.StarlarkError, match="image_deps should be unique"):
        evaluate(
            "load('ext://helm_resource', 'helm_resource')\n"
            "helm_resource('sinal', 'charts/sinal', image_deps=['a', 'a'], image_keys=['x', 'y'])\n"
        )
    tilt = evaluate()
    assert tilt.releases["sinal"]["images"].keys() == tilt.images.keys() - {sandbox_image(tilt)}


def test_the_sandbox_is_built_over_an_image_that_is_built_too(tilt: Tilt) -> None:
    """Tilt puts the build of just now in place of the name in FROM, whatever its tag, arguments'
    defaults included.
    """
    text = (ROOT / tilt.images[sandbox_image(tilt)]["dockerfile"]).read_text()
    (argument,) = re.findall(r"^FROM \$\{(\w+)\}$", text, re.MULTILINE)
    (default,) = re.findall(rf"^ARG {argument}=(\S+)$", text, re.MULTILINE)
    assert default.rpartition(":")[0] in tilt.images.keys() - {sandbox_image(tilt)}


def test_files_that_releases_and_commands_watch_are_there(tilt: Tilt) -> None:
    named = [path for resource in tilt.resources.values() for path in resource.get("deps", ())]
    named += [release["chart"] for release in tilt.releases.values()]
    named += [
        flag.removeprefix("--values=")
        for release in tilt.releases.values()
        for flag in release["flags"]
    ]
    assert len(named) >= 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_whatever_waits_for_another_resource_waits_for_one_that_there_is(tilt: Tilt) -> None:
    awaited = {name for resource in tilt.resources.values() for name in resource["resource_deps"]}
    assert awaited <= tilt.resources.keys()
    assert "sinal-crds" in tilt.releases["sinal"]["resource_deps"]


def test_it_works_in_the_cluster_that_kind_makes_and_in_no_other(tilt: Tilt) -> None:
    assert tilt.contexts == [f"kind-{CLUSTER['name']}"]


def sandbox_container(tilt: Tilt) -> dict[str, Any]:
    """The one container of the one Deployment that the Tiltfile makes itself."""
    (sandbox,) = [item for item in tilt.objects if item["kind"] == "Deployment"]
    (container,) = sandbox["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def sandbox_image(tilt: Tilt) -> str:
    """The image that it runs."""
    return str(sandbox_container(tilt)["image"])


def test_the_sandbox_is_forwarded_from_a_port_that_it_has(tilt: Tilt) -> None:
    container = sandbox_container(tilt)
    assert container["image"] in tilt.images
    ports = {str(port["containerPort"]) for port in container["ports"]}
    assert {
        forward.split(":")[1] for forward in tilt.workloads["sandbox"]["port_forwards"]
    } <= ports


def test_the_demo_is_started_by_hand_and_its_commands_are_there(tilt: Tilt) -> None:
    """Its doors are the ports that `tests.e2e.support.site` takes unless told otherwise."""
    demo = tilt.commands["demo"]
    assert demo["by_hand"]
    module, program = (shlex.split(part) for part in demo["cmd"].split(" && "))
    assert (ROOT / module[2].replace(".", "/")).with_suffix(".py").exists()
    assert program[:3] == [".venv/bin/sinal", "demo", "--against"]
    assert module[-1] == program[3], "what the first writes is what the second reads"
    doors = re.findall(r"127\.0\.0\.1:(\d+)", (ROOT / "tests/e2e/support/site.py").read_text())
    forwarded = [forward.split(":")[0] for forward in tilt.workloads["sandbox"]["port_forwards"]]
    for command in tilt.commands.values():
        forwarded += re.findall(r"port-forward \S+ (\d+):", command["serve_cmd"])
    assert sorted(doors) == sorted(forwarded)
