"""How pods ended.

Kubernetes forgets a deleted pod; one with a finalizer stays until it was looked at.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import until
from tests.e2e.support.inside import ROLE

FINALIZER = "sinal.dev/e2e-ending"


@dataclass(frozen=True)
class Ending:
    """The last word of a pod's container."""

    pod: str
    role: str
    exit_code: int  # 137: its grace was over, and it was killed
    # from SIGTERM on, in whole seconds; None: the kubelet's event is not there any more
    seconds: float | None


class Endings:
    """Pods that can't be forgotten while the context is open."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self.pods: list[str] = []

    @contextlib.contextmanager
    def kept(self) -> Iterator[Endings]:
        """Keep the present pods of all Deployments; let them go at the end, whatever happened."""
        self.pods = [
            pod["metadata"]["name"] for pod in self._kubectl.list("pods") if _of_a_deployment(pod)
        ]
        self._finalizers([FINALIZER])
        try:
            yield self
        finally:
            self._finalizers(None)

    def told(self, *, timeout_s: float = 180) -> list[Ending]:
        """How each of them ended.

        Raises TimeoutError while one has not been deleted or has not ended.
        """
        until(lambda: not self._unended(), timeout_s=timeout_s, pause_s=1)
        asked = {
            event["involvedObject"]["uid"]: _time(event["lastTimestamp"])
            for event in self._kubectl.list("events")
            if event["reason"] == "Killing"
        }
        return [_ending(self._kubectl.get("pod", name), asked) for name in self.pods]

    def _unended(self) -> list[str]:
        return [name for name in self.pods if not _has_ended(self._kubectl.get("pod", name))]

    def _finalizers(self, value: list[str] | None) -> None:
        there = {pod["metadata"]["name"] for pod in self._kubectl.list("pods")}
        patch = json.dumps({"metadata": {"finalizers": value}})
        for name in there.intersection(self.pods):
            self._kubectl.do("patch", "pod", name, "--type=merge", f"--patch={patch}")


def _of_a_deployment(pod: dict[str, Any]) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    return "deletionTimestamp" not in pod["metadata"] and any(
        owner["kind"] == "ReplicaSet" for owner in owners
    )


def _has_ended(pod: dict[str, Any]) -> bool:
    containers = pod["status"].get("containerStatuses", [])
    deleted = "deletionTimestamp" in pod["metadata"]
    return deleted and bool(containers) and all("terminated" in one["state"] for one in containers)


def _ending(pod: dict[str, Any], asked: dict[str, float]) -> Ending:
    metadata, (container,) = pod["metadata"], pod["status"]["containerStatuses"]
    end = container["state"]["terminated"]
    since = asked.get(metadata["uid"])
    seconds = None if since is None else _time(end["finishedAt"]) - since
    return Ending(metadata["name"], metadata["labels"][ROLE], end["exitCode"], seconds)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
