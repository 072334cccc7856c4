"""Helm as a person runs it, on the charts of this checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.support.assets import HELM, locate

CHARTS = Path(__file__).resolve().parents[3] / "charts"
SINAL, DEFINITIONS = CHARTS / "sinal", CHARTS / "sinal-crds"
KUBERNETES = "1.34.4"
RELEASE, NAMESPACE = "sinal", "tracking"

Manifest = dict[str, Any]


def helm(*words: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Any command, whatever comes of it."""
    environment = {**os.environ, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}
    command = [str(locate(HELM)), *words]
    return subprocess.run(
        command, text=True, capture_output=True, check=False, timeout=400, env=environment
    )


def combination(name: str) -> Path:
    """A file of values that shows one way to install."""
    return SINAL / "ci" / f"{name}.yaml"


def render(*words: str, chart: Path = SINAL, namespace: str = NAMESPACE) -> str:
    """What `helm template` says of values that must work."""
    done = template(*words, chart=chart, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return done.stdout


def template(
    *words: str, chart: Path = SINAL, namespace: str = NAMESPACE
) -> subprocess.CompletedProcess[str]:
    """`helm template` of any values."""
    scope = ("--namespace", namespace, "--kube-version", KUBERNETES)
    return helm("template", RELEASE, str(chart), *scope, *words)


def objects(text: str) -> list[Manifest]:
    """The objects of a rendering."""
    return [document for document in yaml.safe_load_all(text) if document]


def name(manifest: Manifest) -> str:
    """Kind, namespace and name."""
    metadata = manifest["metadata"]
    return "/".join(filter(None, (manifest["kind"], metadata.get("namespace"), metadata["name"])))
