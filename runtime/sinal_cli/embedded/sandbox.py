"""The Meta sandbox as a process beside the others; what it accepted is kept in a journal."""

from __future__ import annotations

import sys
from pathlib import Path

from sinal_cli.embedded.process import Managed, Service, port_open


class SandboxService(Managed):
    """One emulator of the Graph API."""

    def __init__(self, journal: Path, *, port: int, log: Path) -> None:
        super().__init__("the Meta sandbox")
        self._journal, self._port, self._log = journal, port, log

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it listens; raises ServiceError."""
        options = ("--host", "127.0.0.1", "--port", str(self._port), "--data", str(self._journal))
        self._service = Service(
            self.name, [sys.executable, "-m", "sinal_sandbox", *options], log=self._log
        )
        self._service.spawn()
        await self._service.ready(lambda: port_open(self._port))
