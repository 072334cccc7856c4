"""Traefik as a process: a proxy that many clusters have, reading the API server of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import Literal

from sinal_cli.embedded.process import free_port, wrapped

from tests.cluster.support.waiting import until

Provider = Literal["kubernetesingress", "kubernetesgateway"]


class TraefikProcess:
    """One Traefik with one provider.

    It sends to a Service's ClusterIP, as it does where `nativeLB` is on.
    """

    def __init__(self, folder: Path, *, kubeconfig: Path, provider: Provider) -> None:
        beside = Path(sysconfig.get_path("scripts")) / "traefik"
        found = str(beside) if beside.exists() else shutil.which("traefik")
        if found is None:
            raise RuntimeError("traefik is missing: install the dev extra")
        self.port, self._probe = free_port(), free_port()
        self.log = folder / "traefik.log"
        options = [
            f"--entrypoints.web.address=127.0.0.1:{self.port}",
            f"--entrypoints.probe.address=127.0.0.1:{self._probe}",
            "--ping.entrypoint=probe",
            f"--providers.{provider}=true",
            f"--providers.{provider}.nativelbbydefault=true",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ]
        if provider == "kubernetesgateway":
            options.append("--providers.kubernetesgateway.statusaddress.ip=127.0.0.1")
        self._command = wrapped([found, *options], death_signal="KILL")
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, stdout=out, stderr=out, env=self._environment, start_new_session=True
            )
        try:
            until(self._answers, timeout_s=120)
        except TimeoutError as error:
            raise TimeoutError(
                f"Traefik does not answer\n{self.log.read_text()[-3000:]}"
            ) from error

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._probe}/ping", timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
