"""The kind cluster of `make e2e` and `tilt up`, and the script that makes it, where no container
engine is.

kind decodes its configuration strictly: a field that it does not know stops it. The fields here are
those of `sigs.k8s.io/kind` v0.33.0, `pkg/apis/config/v1alpha4/types.go`, as far as the file may
come to use them; the rules are those of `pkg/internal/apis/config/validate.go`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError

E2E = Path(__file__).parents[1] / "e2e"
SCRIPT, CONFIG = E2E / "on-kind.sh", E2E / "kind.yaml"
Port = Annotated[int, Field(ge=-1, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Mapping(_Strict):
    containerPort: Port
    hostPort: Port
    listenAddress: IPvAnyAddress
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class Mount(_Strict):
    containerPath: str
    hostPath: str
    readOnly: bool = False
    selinuxRelabel: bool = False
    propagation: Literal["None", "HostToContainer", "Bidirectional"] = "None"


class Node(_Strict):
    role: Literal["control-plane", "worker"]
    image: str = ""
    labels: dict[str, str] = {}
    extraMounts: list[Mount] = []
    extraPortMappings: list[Mapping] = []
    kubeadmConfigPatches: list[str] = []


class Networking(_Strict):
    ipFamily: Literal["ipv4", "ipv6", "dual"] = "ipv4"
    apiServerPort: Port = 0
    apiServerAddress: str = ""
    podSubnet: str = ""
    serviceSubnet: str = ""
    disableDefaultCNI: bool = False
    kubeProxyMode: Literal["iptables", "ipvs", "nftables", "none"] = "iptables"
    dnsSearch: list[str] = []


class Cluster(_Strict):
    kind: Literal["Cluster"]
    apiVersion: Literal["kind.x-k8s.io/v1alpha4"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    nodes: list[Node]
    networking: Networking = Networking()
    featureGates: dict[str, bool] = {}
    runtimeConfig: dict[str, str] = {}
    kubeadmConfigPatches: list[str] = []
    containerdConfigPatches: list[str] = []


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.model_validate(yaml.safe_load(CONFIG.read_text()))


def test_the_configuration_is_one_that_kind_takes(cluster: Cluster) -> None:
    assert [node.role for node in cluster.nodes] == ["control-plane"]
    taken = [(mapping.hostPort, mapping.protocol) for mapping in cluster.nodes[0].extraPortMappings]
    assert len(set(taken)) == len(taken)


def test_a_field_that_kind_does_not_know_is_seen() -> None:
    with pytest.raises(ValidationError, match="extraPortMapping"):
        Cluster.model_validate(
            yaml.safe_load(CONFIG.read_text().replace("extraPortMappings", "extraPortMapping"))
        )


def test_every_node_port_that_the_tests_ask_is_mapped(cluster: Cluster) -> None:
    manifests = [
        document
        for path in (E2E / "manifests").glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
    ]
    services = [document for document in manifests if document and document["kind"] == "Service"]
    asked = {
        port["nodePort"]
        for service in services
        for port in service["spec"]["ports"]
        if "nodePort" in port
    }
    mapped = {mapping.containerPort: mapping for mapping in cluster.nodes[0].extraPortMappings}
    assert asked == mapped.keys()
    assert all(
        str(mapping.listenAddress) == "127.0.0.1" == address() for mapping in mapped.values()
    )
    assert all(mapping.hostPort == port for port, mapping in mapped.items())


def address() -> str:
    """Where the script tells the tests that node ports answer."""
    return SCRIPT.read_text().partition("SINAL_E2E_ADDRESS=")[2].split()[0]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH with a docker and a kind that note what they are asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "kind"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/asked\n[ "$1 $2" != "${{REFUSE:-}}" ]\n'
        )
        program.chmod(0o755)
    return folder


def run(
    programs: Path, *arguments: str, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script with these programs, and what it asked of them."""
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(programs.parent),
        **variables,
    }
    command = [str(SCRIPT), *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    asked = programs.parent / "asked"
    return done, asked.read_text().splitlines() if asked.exists() else []


@pytest.mark.parametrize("missing", ["docker", "kind"])
def test_a_machine_without_one_of_them_is_told_so(programs: Path, missing: str) -> None:
    (programs / missing).unlink()
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(shutil.which(name) or "/nowhere")
    done, asked = run(programs, PATH=str(programs))
    assert (done.returncode, asked) == (1, [])
    assert f"on-kind: {missing} is missing" in done.stderr


def test_it_builds_makes_the_cluster_tests_and_deletes_it(programs: Path) -> None:
    done, asked = run(programs, "--collect-only", "-q", "--no-header")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_first_conversion.py" in done.stdout
    builds = [
        line.partition("docker build -q ")[2] for line in asked if line.startswith("docker build")
    ]
    assert builds == [
        "-f images/sinal.Dockerfile -t localhost/sinal:1 .",
        # after what it is a layer over
        "-f images/sandbox.Dockerfile -t localhost/sinal-sandbox:1 .",
        "-t localhost/sinal-previous:1 tests/e2e/previous",  # and this too
        "-f images/services.Dockerfile -t localhost/sinal-services:1 .",
    ]
    created, deleted = (
        next(line for line in asked if line.startswith(f"kind {verb}"))
        for verb in ("create", "delete")
    )
    assert "--config tests/e2e/kind.yaml" in created
    assert (
        deleted
        == asked[-1]
        == f"kind delete cluster --name {yaml.safe_load(CONFIG.read_text())['name']}"
    )


def test_a_cluster_of_that_name_that_somebody_works_in_stays(programs: Path) -> None:
    """`make e2e` beside `tilt up` failed, rightly, and then deleted the cluster that it had not
    made.
    """
    done, asked = run(programs, REFUSE="create cluster")
    assert done.returncode != 0
    assert asked[-1].startswith("kind create cluster")


def test_the_cluster_can_be_kept(programs: Path) -> None:
    done, asked = run(programs, "--collect-only", "-q", KEEP="1")
    assert "the cluster stays; its kubeconfig is" in done.stderr
    assert not any(line.startswith("kind delete") for line in asked)
