"""What `tilt up` installs and forwards: the charts as Helm renders them with the Tiltfile's values
and images.
"""

from __future__ import annotations

import re

import pytest

from tests.chart.support.helm import Manifest, objects, render
from tests.support.tiltfile import ROOT, Tilt, evaluate

TAG = "tilt-0123456789abcdef"  # Tilt gives each build a tag of its own


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    return evaluate()


@pytest.fixture(scope="module")
def installed(tilt: Tilt) -> list[Manifest]:
    """The release `sinal`, its images set by key as helm_resource does it."""
    release = tilt.releases["sinal"]
    settings = [
        word
        for image, keys in release["images"].items()
        for repository, tag in keys
        for word in ("--set", f"{repository}={image}", "--set", f"{tag}={TAG}")
    ]
    return objects(
        render(
            *release["flags"],
            *settings,
            chart=ROOT / release["chart"],
            namespace=release["namespace"],
        )
    )


def test_every_container_runs_an_image_that_was_built_just_now(
    tilt: Tilt, installed: list[Manifest]
) -> None:
    images = {container["image"] for item in installed for container in containers(item)}
    of_the_surroundings = {
        container["image"] for item in tilt.objects for container in containers(item)
    }
    assert images == {f"{image}:{TAG}" for image in tilt.images.keys() - of_the_surroundings}


def containers(item: Manifest) -> list[Manifest]:
    """The containers of anything that has pods."""
    pod = (
        item["spec"]
        if item["kind"] == "Pod"
        else item.get("spec", {}).get("template", {}).get("spec", {})
    )
    return [*pod.get("containers", ()), *pod.get("initContainers", ())]


def test_ports_are_forwarded_from_services_that_lead_to_pods(
    tilt: Tilt, installed: list[Manifest]
) -> None:
    services = {item["metadata"]["name"]: item for item in installed if item["kind"] == "Service"}
    pods = [
        item["spec"]["template"]
        for item in installed
        if item["kind"] in ("Deployment", "StatefulSet")
    ]
    commands = [command["serve_cmd"] for command in tilt.commands.values() if command["serve_cmd"]]
    assert len(commands) == 2
    for command in commands:
        found = re.fullmatch(
            r"kubectl --namespace (\S+) port-forward service/(\S+) "
            r"\d+:(\d+)",
            command,
        )
        assert (
            found
            and found[1] == tilt.releases["sinal"]["namespace"]
            and found[1] in tilt.namespaces
        )
        service = services[found[2]]["spec"]
        (port,) = [port for port in service["ports"] if port["port"] == int(found[3])]
        (pod,) = [
            pod for pod in pods if service["selector"].items() <= pod["metadata"]["labels"].items()
        ]
        assert port["targetPort"] in {
            named["name"] for each in pod["spec"]["containers"] for named in each["ports"]
        }


def test_the_roles_ask_the_sandbox_where_it_answers(tilt: Tilt, installed: list[Manifest]) -> None:
    (service,) = [item for item in tilt.objects if item["kind"] == "Service"]
    metadata, (port,) = service["metadata"], service["spec"]["ports"]
    address = f"http://{metadata['name']}.{metadata['namespace']}.svc:{port['port']}"
    dispatch = next(
        item
        for item in installed
        if (item["kind"], item["metadata"]["name"]) == ("Deployment", "sinal-dispatch")
    )
    (container,) = dispatch["spec"]["template"]["spec"]["containers"]
    assert {"name": "SINAL_GRAPH_URL", "value": address} in container["env"]


def test_the_definitions_are_there_before_the_shop_is_applied(tilt: Tilt) -> None:
    known = {
        item["spec"]["names"]["kind"]
        for item in objects(render(chart=ROOT / tilt.releases["sinal-crds"]["chart"]))
    }
    shop = {
        kind
        for path in (ROOT / "examples").glob("*.yaml")
        for kind in re.findall(r"^kind: (\w+)", path.read_text(), re.M)
    }
    assert tilt.commands["examples"]["cmd"] == "kubectl apply -f examples"
    assert shop - {"Secret"} == shop & known and len(shop & known) >= 4
