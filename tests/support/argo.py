"""Fixtures of health: objects with statuses as an operator wrote them, kept in the form of Argo
CD's own repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from gitops import argocd

Object = dict[str, Any]
_NAMESPACE = "shops"
_MOMENT = "2026-11-24T10:00:00Z"
# What the runtime tells: none runs beside these fixtures' operator, and its silence is said at a
# moment of its own.
_OF_THE_RUNTIME = ("Delivering", "Receiving")


def fixture(obj: Object) -> Object:
    """The object without what differs from run to run."""
    text = yaml.safe_dump(obj, sort_keys=True).replace(obj["metadata"]["namespace"], _NAMESPACE)
    tidy: Object = yaml.safe_load(text)
    metadata = tidy["metadata"]
    for name in ("uid", "resourceVersion", "managedFields", "creationTimestamp"):
        metadata.pop(name, None)
    metadata.get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    status = tidy.get("status", {})
    for name in ("planHash", "publicKey"):
        if name in status:
            status[name] = "of-this-fixture"
    if "webhookURL" in status:
        status["webhookURL"] = re.sub(r"[^/]+$", "of-this-fixture", status["webhookURL"])
    if "conditions" in status:
        status["conditions"] = [{**one, "lastTransitionTime": _MOMENT} for one in _declared(status)]
    return tidy


def told(obj: Object) -> tuple[Any, ...]:
    """What a status says, for comparing two: which generation was judged, and each condition's
    state and reason.
    """
    status, generation = obj.get("status", {}), obj["metadata"]["generation"]
    conditions = sorted((one["type"], one["status"], one["reason"]) for one in _declared(status))
    return status.get("observedGeneration", 0) == generation, conditions


def _declared(status: Object) -> list[Object]:
    """The conditions that follow from what is declared."""
    return [one for one in status.get("conditions", ()) if one["type"] not in _OF_THE_RUNTIME]


def path_of(kind: str, name: str) -> Path:
    """Where a fixture is."""
    return argocd.tree(kind) / "testdata" / f"{name}.yaml"


def load(path: Path) -> Object:
    """One fixture."""
    found: Object = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
