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
        folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._environment = {**os.environ, **folders}

    def do(self, *words: str, timeout_s: float = 300) -> str:
        """A command that must work; its output."""
        command = [str(self._program), *self._scope, *words]
        done = subprocess.run(
            command, env=self._environment, text=True, capture_output=True, check=False, timeout=timeout_s
        )
        assert done.returncode == 0, f"helm {' '.join(words)}:\n{done.stderr or done.stdout}"
        return done.stdout

    def upgrade(self, release: str, chart: Path, values: Mapping[str, Any], *, timeout_s: int = 240) -> str:
        """`helm upgrade --install --wait`, with values as one JSON document."""
        options = ("--install", "--wait", f"--timeout={timeout_s}s", "--values", "-")
        command = [str(self._program), *self._scope, "upgrade", release, str(chart), *options]
        done = subprocess.run(
            command,
            input=json.dumps(values),
            env=self._environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout_s + 60,
        )
        assert done.returncode == 0, f"helm upgrade {release}:\n{done.stderr or done.stdout}"
        return done.stdout
