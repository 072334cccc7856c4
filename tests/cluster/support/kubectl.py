"""kubectl against the control plane of the tests, as a person uses it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any


class Kubectl:
    """Runs kubectl in one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        beside = Path(sysconfig.get_path("scripts")) / "kubectl"
        found = str(beside) if beside.exists() else shutil.which("kubectl")
        if found is None:
            raise RuntimeError("kubectl is missing: install the dev extra")
        self.kubeconfig, self.namespace = kubeconfig, namespace
        self._command = [
            found,
            f"--kubeconfig={kubeconfig}",
            f"--cache-dir={kubeconfig.parent / 'cache'}",
        ]

    def in_namespace(self, namespace: str) -> Kubectl:
        """The same for another namespace."""
        return Kubectl(self.kubeconfig, namespace)

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Any command, whatever comes of it."""
        # none: as the manifests say
        scope = [f"--namespace={self.namespace}"] if self.namespace else []
        command = [*self._command, *scope, *words]
        return subprocess.run(
            command, input=stdin, text=True, capture_output=True, check=False, timeout=400
        )

    def do(self, *words: str, stdin: str | None = None) -> str:
        """A command that must work; its output."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr or done.stdout}"
        return done.stdout

    def apply(self, *manifests: dict[str, Any] | Path | str) -> None:
        """Apply objects, text or files."""
        for manifest in manifests:
            if isinstance(manifest, Path):
                self.do("apply", "-f", str(manifest))
            else:
                self.do(
                    "apply",
                    "-f",
                    "-",
                    stdin=manifest if isinstance(manifest, str) else json.dumps(manifest),
                )

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object; an empty one when it is not there."""
        done = self.run("get", kind, name, "-o", "json", "--ignore-not-found")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        return found

    def list(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind in the namespace."""
        items: list[dict[str, Any]] = json.loads(self.do("get", kind, "-o", "json"))["items"]
        return items

    def condition(self, kind: str, name: str, type: str = "Ready") -> dict[str, Any]:
        """A condition of an object; empty when it has none."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == type), {})

    def wait(
        self, kind: str, *names: str, condition: str = "Ready", timeout_s: float = 120.0
    ) -> None:
        """`kubectl wait`, of the named objects or of all."""
        which = names or ("--all",)
        self.do("wait", kind, *which, f"--for=condition={condition}", f"--timeout={timeout_s}s")
