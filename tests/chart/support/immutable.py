"""What a cluster refuses to change in objects that are there, so that `helm upgrade` would stop
half-way.

Hooks are left out: Helm deletes them before it makes them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.chart.support.helm import Manifest, name

# Kubernetes' own list of what may change in a StatefulSet; all else may not, the templates of its
# claims above all.
_OF_STATEFUL_SETS = {
    "replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    "revisionHistoryLimit",
}  # fmt: skip
_OF_JOBS = {
    "parallelism",
    "suspend",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
}
# Others hold their address or their data: they may not even go.
KEPT = {"Service", "StatefulSet", "PersistentVolumeClaim", "CustomResourceDefinition"}


def _without(mutable: set[str]) -> Callable[[Manifest], Any]:
    return lambda manifest: {
        key: value for key, value in manifest["spec"].items() if key not in mutable
    }


def _secret_like(manifest: Manifest) -> Any:
    frozen = manifest.get("immutable")
    return manifest.get("type"), (
        manifest.get("data"),
        manifest.get("stringData"),
    ) if frozen else None


def _definition(manifest: Manifest) -> Any:
    spec = manifest["spec"]
    return spec["group"], spec["scope"], spec["names"]["kind"], spec["names"]["plural"]


_FIXED: dict[str, Callable[[Manifest], Any]] = {
    "Deployment": lambda manifest: manifest["spec"]["selector"],
    "DaemonSet": lambda manifest: manifest["spec"]["selector"],
    "StatefulSet": _without(_OF_STATEFUL_SETS),
    "Job": _without(_OF_JOBS),
    "Service": lambda manifest: manifest["spec"].get("clusterIP"),
    "PersistentVolumeClaim": _without({"resources", "volumeAttributesClassName"}),
    "RoleBinding": lambda manifest: manifest["roleRef"],
    "ClusterRoleBinding": lambda manifest: manifest["roleRef"],
    "PriorityClass": lambda manifest: (manifest["value"], manifest.get("preemptionPolicy")),
    "Secret": _secret_like,
    "ConfigMap": _secret_like,
    "StorageClass": lambda manifest: {
        k: v for k, v in manifest.items() if k not in {"metadata", "allowedTopologies"}
    },
    "CustomResourceDefinition": _definition,
}


def conflicts(before: Iterable[Manifest], after: Iterable[Manifest]) -> list[str]:
    """What keeps a cluster that has `before` from becoming `after`, a sentence each."""
    there = {name(manifest): manifest for manifest in after}
    found = []
    for manifest in before:
        key, kind = name(manifest), manifest["kind"]
        if _is_hook(manifest):
            continue
        if key not in there:
            found += [f"{key} is gone"] if kind in KEPT else []
        elif kind in _FIXED and (old := _FIXED[kind](manifest)) != (
            new := _FIXED[kind](there[key])
        ):
            found.append(f"{key} can't change from {old} to {new}")
        elif kind == "CustomResourceDefinition" and (
            lost := _versions(manifest) - _versions(there[key])
        ):
            found.append(f"{key} is stored in versions that are gone: {sorted(lost)}")
    return found


def _is_hook(manifest: Manifest) -> bool:
    return "helm.sh/hook" in (manifest["metadata"].get("annotations") or {})


def _versions(definition: Manifest) -> set[str]:
    return {version["name"] for version in definition["spec"]["versions"] if version["storage"]}
