"""Argo CD: the script of health, where it goes, and how the files are made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sinal_crds.names import GROUP

from gitops.argocd.script import SCRIPT, health

HERE = SCRIPT.parent
KINDS = ("Tenant", "Destination", "Funnel", "GatewayIntegration")
_HEAD = "# Made by `make gitops` from gitops/argocd/health.lua; change that.\n"


def tree(kind: str) -> Path:
    """Folder of a kind, as in Argo CD's resource_customizations."""
    return HERE / "resource_customizations" / GROUP / kind


def config_map() -> dict[str, Any]:
    """What to merge into the ConfigMap argocd-cm."""
    script = SCRIPT.read_text(encoding="utf-8")
    data = {f"resource.customizations.health.{GROUP}_{kind}": script for kind in KINDS}
    metadata = {
        "name": "argocd-cm",
        "namespace": "argocd",
        "labels": {"app.kubernetes.io/part-of": "argocd"},
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def made() -> dict[Path, str]:
    """Every file that is made from the script."""
    script = SCRIPT.read_text(encoding="utf-8")
    found = {tree(kind) / "health.lua": script for kind in KINDS}
    found |= {tree(kind) / "health_test.yaml": _tests(kind) for kind in KINDS}
    found[HERE / "argocd-cm.yaml"] = _HEAD + yaml.dump(
        config_map(), Dumper=_Dumper, sort_keys=False
    )
    return found


def _tests(kind: str) -> str:
    """The list that Argo CD's own repository wants beside its fixtures."""
    paths = sorted((tree(kind) / "testdata").glob("*.yaml"))
    answers = ((path, health(yaml.safe_load(path.read_text(encoding="utf-8")))) for path in paths)
    tests = [
        {
            "healthStatus": {name: answer[name] for name in ("status", "message")},
            "inputPath": f"testdata/{path.name}",
        }
        for path, answer in answers
    ]
    return yaml.dump({"tests": tests}, Dumper=_Dumper, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", value, style="|" if "\n" in value else None
    )


_Dumper.add_representer(str, _text)
