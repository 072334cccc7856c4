"""`kubectl sinal` as a person uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

SCRIPTS = sysconfig.get_path("scripts")


class Plugin:
    """`kubectl sinal …` in an environment of its own."""

    def __init__(self, kubeconfig: Path, path: str, **environment: str) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("SINAL_")
        }
        self._environment = {
            **inherited,
            "KUBECONFIG": str(kubeconfig),
            "PATH": path,
            **environment,
        }

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        command = ["kubectl", "sinal", *words]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=90, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def lines(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """JSON lines of a command that ends so."""
        found, out, err = self(*words)
        assert found == code, (words, out, err)
        return [json.loads(line) for line in out.splitlines()]
