"""The data folder of one embedded stack: its lock, its generated secrets, its keyring, its logs.

One stack at a time owns a folder (an advisory lock that ends with the process); another folder is another stack.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

import msgspec


class FolderInUse(RuntimeError):
    """Another stack runs on this data folder."""


class InstanceSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """What was generated at the first start; the file is readable by its owner only."""

    version: int = 1
    postgres: str
    worker: str
    nats: str
    redis: str
    admin_key: str

    @classmethod
    def generate(cls) -> InstanceSecrets:
        """Fresh secrets."""
        fresh = secrets.token_urlsafe
        return cls(
            postgres=fresh(24),
            worker=fresh(24),
            nats=fresh(24),
            redis=fresh(24),
            admin_key="sak_" + fresh(24),
        )


class Instance:
    """An opened data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: IO[str] | None = None

    def open(self) -> InstanceSecrets:
        """Lock the folder and give its secrets; raises FolderInUse when another stack has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(
                f"{self.folder} is in use by another stack (process {_pid_in(self._lock)}): "
                "stop it, or give another folder with --data"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        return self._secrets()

    def close(self) -> None:
        """Release the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def log(self, name: str) -> Path:
        """Log file of a service."""
        return self.folder / "logs" / f"{name}.log"

    @property
    def keyring_file(self) -> Path:
        """Keys that seal plans."""
        return self.folder / "keyring.json"

    def _secrets(self) -> InstanceSecrets:
        path = self.folder / "secrets.json"
        if not path.exists():
            write_private(path, msgspec.json.encode(InstanceSecrets.generate()))
        return msgspec.json.decode(path.read_bytes(), type=InstanceSecrets)


def write_private(path: Path, body: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)


def _pid_in(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read(20).strip() or "unknown"
