"""The data folder of one embedded stack: its lock, its generated secrets, its keyring, its logs.

One stack at a time owns a folder (an advisory lock that ends with the process); another folder is
another stack. It holds keys and what people bought, so it is closed to other users.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

PRIVATE = 0o700


class FolderUnusable(RuntimeError):
    """No stack can run on this data folder; the message says why, and the way out."""


class FolderInUse(FolderUnusable):
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

    secrets: InstanceSecrets  # of an opened one

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: IO[str] | None = None

    @contextmanager
    def opened(self) -> Iterator[Instance]:
        """Locked, with its secrets.

        Raises FolderUnusable, FolderInUse when another stack has it.
        """
        try:
            try:
                self.secrets = self._open()
            except OSError as error:
                raise FolderUnusable(_why(self.folder, error)) from error
            yield self
        finally:
            self.close()

    def _open(self) -> InstanceSecrets:
        self.folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        new = not any(self.folder.iterdir())
        # a folder with other things in it may be shared
        ours = new or (self.folder / "secrets.json").exists()
        # Not `w`: that would empty the lock of the stack that has it, and with it the number to
        # tell.
        self._lock = (self.folder / "lock").open("a+")
        if ours and self.folder.stat().st_uid == os.geteuid():
            self.folder.chmod(PRIVATE)
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
        return self._read_secrets()

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

    def _read_secrets(self) -> InstanceSecrets:
        path = self.folder / "secrets.json"
        if not path.exists():
            write_private(path, msgspec.json.encode(InstanceSecrets.generate()))
        try:
            return msgspec.json.decode(path.read_bytes(), type=InstanceSecrets)
        except msgspec.MsgspecError as error:
            raise FolderUnusable(
                f"{path} can't be read: {error}; give another folder with --data"
            ) from error


def write_private(path: Path, body: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(body)
        out.flush()
        # Before the rename, which may reach the disk first: a power cut would leave an empty
        # keyring.
        os.fsync(out.fileno())
    temporary.replace(path)


def _why(folder: Path, error: OSError) -> str:
    """What is wrong with a data folder, in words."""
    way_out = "give another folder with --data"
    # a Path raises for a closed folder
    place = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if not place.is_dir():
        return f"{place} is a file: {way_out}"
    if isinstance(error, PermissionError):
        return (
            f"{folder}: this user may not write to {place}, which belongs to {_owner(place)}: "
            f"{way_out}"
        )
    return f"{error.filename or folder}: {error.strerror}: {way_out}"


def _owner(place: Path) -> str:
    try:
        return place.owner()
    except KeyError:
        return f"user {place.stat().st_uid}"


def _pid_in(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read(20).strip() or "unknown"
