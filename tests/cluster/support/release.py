"""The chart's rights, given for real in a control plane, and accounts of the release that have no
others.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from tests.chart.support.helm import RELEASE, Manifest, combination, objects, render
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl

RIGHTS = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
SOMEWHERE = "namespace-of-the-release"


@functools.cache
def _rendered(which: str, words: tuple[str, ...]) -> str:
    """Once for all namespaces: Helm takes a second."""
    return render("--values", str(combination(which)), *words, namespace=SOMEWHERE)


class Release:
    """A rendering of the chart in a namespace, of which only the rights are installed."""

    def __init__(self, plane: ControlPlane, namespace: str, which: str, *words: str) -> None:
        self._plane, self.namespace = plane, namespace
        self._kubectl = Kubectl(plane.kubeconfig, namespace="")
        self.objects = objects(_rendered(which, words).replace(SOMEWHERE, namespace))

    @property
    def accounts(self) -> list[str]:
        """Names of its ServiceAccounts."""
        return [
            manifest["metadata"]["name"]
            for manifest in self.objects
            if manifest["kind"] == "ServiceAccount"
        ]

    def grant(self) -> None:
        """Install the roles and bindings, those of the hooks too."""
        self._kubectl.do("apply", "-f", "-", stdin=self._rights())

    def revoke(self) -> None:
        """Take them away."""
        self._kubectl.run(
            "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=self._rights()
        )

    def kubeconfig(self, role: str) -> Path:
        """Credentials of a role's ServiceAccount, with the groups that its token would have."""
        account = f"{RELEASE}-{role}"
        assert account in self.accounts, self.accounts
        user = f"system:serviceaccount:{self.namespace}:{account}"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}"]
        return self._plane.authority.kubeconfig(
            f"{self.namespace}-{account}", self._plane.url, user, groups
        )

    def _rights(self) -> str:
        return json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": [*map(self._placed, self._roles())]}
        )

    def _roles(self) -> list[Manifest]:
        return [manifest for manifest in self.objects if manifest["kind"] in RIGHTS]

    def _placed(self, manifest: Manifest) -> Manifest:
        """In the namespace where Helm would put it."""
        if manifest["kind"].startswith("Cluster"):
            return manifest
        return {**manifest, "metadata": {"namespace": self.namespace, **manifest["metadata"]}}
