"""Helm as a person uses it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.support import assets


class Helm:
    """Runs helm against one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, home: Path) -> None:
        self._program = assets.locate(assets.HELM)
        self._scope = [f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
        folders = {
            f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")
        }
        self._environment = {**os.environ, **folders}

    def do(self, *words: str, timeout_s: float = 300, stdin: str | None = None) -> str:
        """A command that must work; its output."""
        command = [str(self._program), *self._scope, *words]
        done = subprocess.run(
            command,
            input=stdin,
            env=self._environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"helm {' '.join(words)}:\n{done.stderr or done.stdout}"
        return done.stdout

    def upgrade(
        self, release: str, chart: Path, values: Mapping[str, Any], *, timeout_s: int = 240
    ) -> str:
        """`helm upgrade --install --wait`."""
        options = ("upgrade", "--install", "--wait", f"--timeout={timeout_s}s")
        return self._with_values(release, chart, values, *options, timeout_s=timeout_s + 60)

    def template(self, release: str, chart: Path, values: Mapping[str, Any], *options: str) -> str:
        """`helm template`: manifests."""
        return self._with_values(release, chart, values, "template", *options)

    def status(self, release: str) -> dict[str, Any]:
        """`helm status`: the release's present revision and the hooks that ran for it."""
        found: dict[str, Any] = json.loads(self.do("status", release, "--output", "json"))
        return found

    def _with_values(
        self,
        release: str,
        chart: Path,
        values: Mapping[str, Any],
        *words: str,
        timeout_s: float = 300,
    ) -> str:
        """A command over a chart, with values as one JSON document."""
        given = json.dumps(values)
        return self.do(
            *words, release, str(chart), "--values", "-", timeout_s=timeout_s, stdin=given
        )
