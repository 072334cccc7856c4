"""One child process that is a service: started, waited for, stopped, and never left behind.

The child gets its own session, so that Ctrl-C in a terminal reaches Sinal first and services stop
after their users; `setpriv --pdeathsig` (util-linux) has the kernel end it when Sinal is killed
without a chance to clean up.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

UNPRIVILEGED = 65_534  # "nobody": PostgreSQL refuses to run as root
# As root we give up the user but keep the right to reach binaries and data below a closed home
# folder.
_KEPT_RIGHTS = "+dac_override,+dac_read_search"


class ServiceStartError(RuntimeError):
    """A service did not start; the message ends with the last lines of its log."""


# Below what systems hand out to connections that go out (32768 and up on Linux, 49152 by RFC 6335):
# a port that waits for its listener is not taken by somebody's client meanwhile. Between them are
# the NodePorts of a Kubernetes.
_PORTS = range(15_000, 30_000)
_given: set[int] = set()  # far fewer than there are
# The ports given last, bound but not listened on: a server, which sets SO_REUSEADDR, may have the
# port all the same, while a chooser of another process, which does not, passes it over. Elsewhere
# than on Linux a server could not.
_held: deque[socket.socket] = deque()
_MOST_HELD = 128 if sys.platform == "linux" else 0


def free_port(in_a_row: int = 1) -> int:
    """The first of so many TCP ports of 127.0.0.1 that nobody has.

    Never one that this process was given before.
    """
    while True:
        # not `random`, which tests seed: others choose beside this process
        first = secrets.choice(_PORTS)
        ports = range(first, first + in_a_row)
        if not _given.isdisjoint(ports):
            continue
        holders: list[socket.socket] = []
        try:
            holders.extend(_holder(port) for port in ports)
        except OSError:
            for holder in holders:
                holder.close()
            continue
        _given.update(ports)
        _held.extend(holders)
        while len(_held) > _MOST_HELD:
            _held.popleft().close()
        return first


@atexit.register
def _let_go() -> None:
    while _held:
        _held.pop().close()


def _holder(port: int) -> socket.socket:
    """A socket bound to the port; raises OSError where it is taken or held."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
        # Only after the bind: with it before, Linux would give us a port that another chooser
        # holds.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        holder.close()
        raise
    return holder


def wrapped(command: Sequence[str], *, death_signal: str, unprivileged: bool = False) -> list[str]:
    """The command under `setpriv`, where that exists: dies with its parent, and is not root if it
    must not be.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if unprivileged and os.geteuid() == 0:
            raise ServiceStartError(
                "PostgreSQL refuses to run as root, and setpriv (util-linux) is missing: install it"
            )
        return list(command)
    options = ["--pdeathsig", death_signal]
    if unprivileged and os.geteuid() == 0:
        options += [f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        # access(2) forgets the kept rights unless this bit is set, and initdb asks it about its own
        # folder.
        options += [
            "--securebits=+no_setuid_fixup",
            f"--inh-caps={_KEPT_RIGHTS}",
            f"--ambient-caps={_KEPT_RIGHTS}",
        ]
    return [setpriv, *options, "--", *command]


class Service:
    """A running child; `stop_signal` asks it to end, SIGKILL follows after `grace_s`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        unprivileged: bool = False,
        grace_s: float = 5.0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = wrapped(
            command, death_signal=stop_signal.name.removeprefix("SIG"), unprivileged=unprivileged
        )
        self._env = dict(env) if env is not None else None
        self._stop_signal = stop_signal
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0  # what is before in the log is an earlier run's

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError when it is not running."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists and has not ended."""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start the process; its output goes to the log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._log_from = out.tell()
            self._process = subprocess.Popen(  # noqa: S603 - fixed commands of ours
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )

    async def ready(
        self, probe: Callable[[], Awaitable[bool]], *, timeout_s: float = 120.0
    ) -> None:
        """Wait until the probe says yes.

        Raises ServiceError when the process ends or the time is over.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not await probe():
            if not self.running:
                raise ServiceStartError(f"{self.name} ended while starting\n{self.tail()}")
            if asyncio.get_running_loop().time() > deadline:
                raise ServiceStartError(
                    f"{self.name} did not answer within {timeout_s:.0f} s\n{self.tail()}"
                )
            await asyncio.sleep(0.03)

    async def stop(self) -> None:
        """End the process and wait for it; safe to call twice."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self._stop_signal)
        deadline = asyncio.get_running_loop().time() + self._grace_s
        while process.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                process.kill()
                process.wait()
                break
            await asyncio.sleep(0.02)
        self._process = None

    def kill(self) -> None:
        """SIGKILL, at once; for tests of what a crash leaves behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self, lines: int = 15) -> str:
        """The last lines that this run wrote into the log."""
        try:
            written = self.log.read_bytes()[self._log_from :]
        except OSError:
            return ""
        return "\n".join(written.decode(errors="replace").splitlines()[-lines:])

    @property
    def end(self) -> str | None:
        """How the process ended by itself, in words; None while it runs or where it was stopped."""
        status = self._process.poll() if self._process is not None else None
        if status is None:
            return None
        return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


class Managed(ABC):
    """What the embedded services share: at most one child, asked for its id, stopped, started again
    on its port.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._service: Service | None = None

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError when it is not running."""
        if self._service is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._service.pid

    @property
    def end(self) -> str | None:
        """How it ended by itself, in words; None while it runs, or where nobody wants it to."""
        return self._service.end if self._service is not None else None

    @property
    def log(self) -> Path | None:
        """Its log file, once it was started."""
        return self._service.log if self._service is not None else None

    @abstractmethod
    async def start(self) -> None:
        """Start it, or start it again, and wait until it answers; raises ServiceError."""

    async def stop(self) -> None:
        """Stop the service; what it keeps on disk stays."""
        if self._service is not None:
            await self._service.stop()
            self._service = None


async def port_open(port: int) -> bool:
    """Whether something accepts connections on that port of 127.0.0.1."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
