"""The shipped dashboards' queries as a person's browser would send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboards import files

OF_THE_CLUSTER = (
    "kube_",  # kube-state-metrics
    "sinal_adapter_",  # the metrics adapter
    "sinal_leader",
    "sinal_object_not_ready",
    "sinal_reconcile_last_success",
)


@dataclass(frozen=True)
class Asked:
    """One query of one panel.

    `empty` is what the panel says without data, "" where it must have some.
    """

    board: str
    panel: str
    query: str
    empty: str

    def __str__(self) -> str:
        return f"{self.board}: {self.panel} [{self.query}]"

    @property
    def of_the_cluster(self) -> bool:
        """Whether it is about what only the operator of a cluster, its adapter or
        kube-state-metrics serve.
        """
        return any(word in self.query for word in OF_THE_CLUSTER)


def asked(variables: Mapping[str, str]) -> list[Asked]:
    """Every query of every dashboard, with its variables chosen."""
    found = []
    for path in sorted((files.ROOT / files.DASHBOARDS).glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            empty = panel.get("fieldConfig", {}).get("defaults", {}).get("noValue", "")
            found += [
                Asked(_board(path), panel["title"], _chosen(target["expr"], variables), empty)
                for target in panel.get("targets", ())
            ]
    return found


def _board(path: Path) -> str:
    return path.stem.removeprefix("sinal-")


def _chosen(query: str, variables: Mapping[str, str]) -> str:
    query = query.replace('=~"$tenant"', '=~".*"')  # where several can be chosen, all are
    for name, value in variables.items():
        query = query.replace(f"${name}", value)
    return query
