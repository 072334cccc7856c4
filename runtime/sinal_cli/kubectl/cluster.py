"""The cluster as kubectl sees it: this plugin asks kubectl, so every kubeconfig and every kind of
login works.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sinal_cli.client.target import NoTarget

WAIT_S = 60
API_LABELS = "app.kubernetes.io/name=sinal,app.kubernetes.io/component=api"
KEY = "admin-key"

Object = dict[str, Any]


class KubectlFailed(NoTarget):
    """kubectl is missing or refuses; the message is its own."""


@dataclass(frozen=True)
class Scope:
    """Which cluster and which namespace, as kubectl's own options say it."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    everywhere: bool = False


@dataclass(frozen=True)
class NamespacedName:
    """A namespaced object by name."""

    namespace: str
    name: str

    @classmethod
    def of(cls, text: str, *, option: str) -> NamespacedName:
        """From `namespace/name`; raises KubectlFailed."""
        namespace, _, name = text.partition("/")
        if not namespace or not name or "/" in name:
            raise KubectlFailed(f"{option}: write NAMESPACE/NAME, not {text!r}")
        return cls(namespace, name)


class Kubectl:
    """Runs kubectl with a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def command(self, *words: str) -> list[str]:
        """A command line of kubectl; raises KubectlFailed where there is none."""
        scope = self._scope
        options = [("--kubeconfig", scope.kubeconfig), ("--context", scope.context)]
        given = [f"{name}={value}" for name, value in options if value is not None]
        return [_program(), *given, *words]

    def objects(self, plurals: Sequence[str]) -> list[Object]:
        """Custom resources of these kinds in the scope; raises KubectlFailed."""
        where = ["--all-namespaces"] if self._scope.everywhere else self._namespace()
        return self._items("get", ",".join(plurals), *where)

    def api_service(self) -> NamespacedName:
        """The Service of the operations API, found by the chart's labels; raises KubectlFailed."""
        found = self._items("get", "services", "--all-namespaces", f"--selector={API_LABELS}")
        if len(found) != 1:
            named = ", ".join(
                f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in found
            )
            what = (
                f"there are several: {named}" if found else "there is none with the chart's labels"
            )
            raise KubectlFailed(
                f"which Service is the operations API? {what}. Give --service NAMESPACE/NAME, or "
                "--api URL"
            )
        (metadata,) = (one["metadata"] for one in found)
        return NamespacedName(metadata["namespace"], metadata["name"])

    def secret(self, place: NamespacedName, key: str) -> str:
        """A value of a Secret; raises KubectlFailed."""
        text = self._ask(
            "get", "secret", place.name, f"--namespace={place.namespace}", "--output=json"
        )
        value = json.loads(text).get("data", {}).get(key)
        if value is None:
            raise KubectlFailed(
                f"Secret {place.namespace}/{place.name} has no key {key!r}; --key-name says which"
            )
        return base64.b64decode(value).decode().strip()

    def _namespace(self) -> list[str]:
        return [] if self._scope.namespace is None else [f"--namespace={self._scope.namespace}"]

    def _items(self, *words: str) -> list[Object]:
        items: list[Object] = json.loads(self._ask(*words, "--output=json"))["items"]
        return items

    def _ask(self, *words: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - kubectl, with words of ours
                self.command(*words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlFailed(f"kubectl did not answer within {WAIT_S} s") from error
        if done.returncode != 0:
            # its log, then the reason
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise KubectlFailed(f"kubectl: {said[-1]}")
        return done.stdout


def _program() -> str:
    """The kubectl on the PATH, else one that is installed beside us."""
    found = shutil.which("kubectl") or shutil.which("kubectl", path=sysconfig.get_path("scripts"))
    if found is None:
        raise KubectlFailed("kubectl is not on the PATH: install it")
    return found
