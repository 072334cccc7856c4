"""What `sinal manifests check` refuses, a real API server refuses too, and the reverse: one corpus
for both.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl

CORPUS = Path(__file__).parents[1] / "corpus" / "manifests"
REFUSED_BY = ("schema", "rule", "frame")


def judge_of(path: Path) -> str:
    """Who can know that the file is wrong: its first line says so."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# judge:").strip() if first.startswith("# judge:") else "good"


FILES = sorted([*(CORPUS / "bad").glob("*.yaml"), *(CORPUS / "good").glob("*.yaml")])
BAD = [path for path in FILES if judge_of(path) in REFUSED_BY]
FINE = [path for path in FILES if judge_of(path) in ("good", "references")]


@pytest.fixture(scope="module")
def anywhere(control_plane: ControlPlane) -> Kubectl:
    """kubectl with the namespaces that the corpus speaks of."""
    kubectl = Kubectl(control_plane.kubeconfig, namespace="")
    for namespace in ("clientes", "outra"):
        kubectl.run("create", "namespace", namespace)
    return kubectl


def fields(path: Path) -> set[str]:
    """The fields that the file's `# error:` remarks are about, without their path."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"# error: (?:[^:]*/[^:]*: )?((?:spec|metadata)[\w.\[\]]*)", text)
    return {re.sub(r"\[\d+\]", "", one).rpartition(".")[2] for one in found}


def without_other_groups(path: Path) -> str:
    """What the file holds of kinds that this API server knows."""
    documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    return yaml.safe_dump_all(
        one for one in documents if one["apiVersion"] in ("v1", "sinal.dev/v1alpha1")
    )


def test_the_corpus_is_there() -> None:
    assert len(BAD) > 40
    assert len(FINE) > 10


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_it_refuses_what_is_wrong_and_names_the_field(anywhere: Kubectl, path: Path) -> None:
    done = anywhere.run("apply", "--dry-run=server", "-f", str(path))
    assert done.returncode != 0, done.stdout
    if judge_of(path) != "frame":
        assert "is invalid:" in done.stderr or "strict decoding error" in done.stderr
        assert [one for one in fields(path) if one in done.stderr], (fields(path), done.stderr)


@pytest.mark.parametrize("path", FINE, ids=lambda path: path.stem)
def test_it_takes_what_is_right_by_itself(anywhere: Kubectl, path: Path) -> None:
    done = anywhere.run("apply", "--dry-run=server", "-f", "-", stdin=without_other_groups(path))
    assert done.returncode == 0, done.stderr
