"""The operator as a process of its own, as a cluster runs it: it can be killed and started
again.
"""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from sinal_cli.embedded.process import Service, free_port
from sinal_crds.keyring import Keyring

from tests.cluster.support.waiting import until

PUBLIC_URL = "http://ingest.example"


class OperatorProcess:
    """`sinal run operator` on a kubeconfig."""

    def __init__(
        self,
        folder: Path,
        *,
        kubeconfig: Path,
        nats_url: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._kubeconfig, self._nats_url = folder, kubeconfig, nats_url
        self._settings = dict(settings or {})
        keyring_file = folder / "keyring.json"
        if not keyring_file.exists():
            keyring_file.write_bytes(Keyring.generate().to_json())
        self.keyring = Keyring.from_json(keyring_file.read_bytes())
        self._port = free_port()
        self.log = folder / f"operator-{self._port}.log"
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "SINAL_NATS_URL": nats_url,
            "SINAL_KEYRING_FILE": str(keyring_file),
            "SINAL_PUBLIC_URL": PUBLIC_URL,
            "SINAL_PORT": str(self._port),
            **self._settings,
        }
        self._service = self._new()

    @property
    def url(self) -> str:
        """Where it answers probes and scrapers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id."""
        return self._service.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._service.running

    def twin(self) -> OperatorProcess:
        """Another one of the same installation."""
        return OperatorProcess(
            self._folder,
            kubeconfig=self._kubeconfig,
            nats_url=self._nats_url,
            settings=self._settings,
        )

    def start(self) -> None:
        """Start the process, new or again."""
        self._service = self._new()
        self._service.spawn()

    def kill(self) -> None:
        """SIGKILL."""
        self._service.kill()

    def freeze(self) -> None:
        """SIGSTOP: it sees and does nothing until `thaw`."""
        os.kill(self._service.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._service.pid, signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        await self._service.stop()

    def wait_ready(self, timeout_s: float = 30) -> None:
        """Wait until it has seen the cluster and reached NATS."""
        try:
            until(self._ready, timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"the operator is not ready\n{self._service.tail(40)}") from error

    def leads(self) -> bool:
        """Whether it says that it is the one that works."""
        return "sinal_leader 1.0" in self.answer("/metrics")

    def answer(self, path: str) -> str:
        """What it answers, if that is 200; else nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=2) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def _ready(self) -> bool:
        return bool(self.answer("/readyz"))

    def _new(self) -> Service:
        command = [sys.executable, "-m", "sinal_cli", "run", "operator"]
        return Service("operator", command, log=self.log, env=self._environment, grace_s=60)
