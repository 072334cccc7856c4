"""Volumes for claims where the cluster has nobody who makes them: folders of its node."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.support.cluster import Cluster

FOLDER = "/var/lib/sinal-e2e"
COUNT = 4


def provide(cluster: Cluster) -> None:
    """Make volumes by hand, unless a default StorageClass does it."""
    kubectl = cluster.kubectl("default")
    classes = json.loads(kubectl.do("get", "storageclasses", "-o", "json"))["items"]
    if any(entry["metadata"].get("annotations", {}).get(_DEFAULT) == "true" for entry in classes):
        return
    kubectl.apply(_maker(cluster.images.sinal), *(_volume(number) for number in range(COUNT)))
    kubectl.do("wait", "job/volumes", "--for=condition=Complete", "--timeout=120s")


_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def _volume(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"e2e-{number}"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"{FOLDER}/{number}"},
        },
    }


def _maker(image: str) -> dict[str, Any]:
    """A Job that makes the folders, writable by whoever the pods run as."""
    script = (
        f"import os\nfor n in range({COUNT}):\n p = f'/e2e/{{n}}'; os.makedirs(p, exist_ok=True); "
        f"os.chmod(p, 0o777)"
    )
    container = {
        "name": "make",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", script],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "e2e", "mountPath": "/e2e"}],
    }
    volume = {"name": "e2e", "hostPath": {"path": FOLDER, "type": "DirectoryOrCreate"}}
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "volumes"},
        "spec": {"template": {"spec": pod}},
    }
