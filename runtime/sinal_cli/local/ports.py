"""Ports of ingest, API, sandbox and metrics: chosen once for a data folder, kept there, and whoever
holds one is named.

From the choice to the end of the process a port is claimed by a lock, so that of two stacks that
start at the same moment one passes over what the other is about to listen on.

Webhook URLs hold ingest's port and stand in gateways' panels, so a port that was used is never
changed without a word. Nobody has the port of metrics written down: where it is taken, another
does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from sinal_cli.data_folder import write_private

FIRST = 8080
STEP = 10
LAST = 65_535
_LISTENS = "0A"  # in /proc/net/tcp


class PortError(RuntimeError):
    """A port can't be used; the message says why, who has it, and the way out."""


class Ports(NamedTuple):
    """One port each."""

    ingest: int
    api: int
    sandbox: int
    metrics: int = 0  # any that is free

    @classmethod
    def from_first(cls, first: int) -> Ports:
        """Four in a row."""
        return cls(first, first + 1, first + 2, first + 3)


class PortChoice(NamedTuple):
    """What was chosen, and a word on it where it is not what people expect."""

    ports: Ports
    note: str = ""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 1
    ingest: int
    api: int
    sandbox: int
    metrics: int = 0


def choose(folder: Path, wanted: int | None, *, first: int = FIRST) -> PortChoice:
    """Ports for the stack of a folder: the wanted ones, else those it had, else 8080 ff., else the
    next free four.

    Raises PortError.
    """
    if wanted is not None:
        return PortChoice(asked(wanted))
    kept = remembered(folder)
    if kept is not None:
        way_out = (
            "this folder's webhook URLs have it. Stop that process, or choose others with --port"
        )
        return PortChoice(
            _with_metrics(_usable(kept._replace(metrics=0), way_out=way_out), kept.metrics)
        )
    taken = _first_taken(Ports.from_first(first))
    if taken is None:
        return PortChoice(Ports.from_first(first))
    for start in range(first + STEP, LAST - STEP, STEP):
        ports = Ports.from_first(start)
        if _first_taken(ports) is None:
            return PortChoice(
                ports,
                f"Port {taken} is taken{by(taken)}: using {start} to {start + 3}, now and later.",
            )
    raise PortError(
        f"port {taken} is taken{by(taken)}, and no other four in a row are free: choose with --port"
    )


def asked(first: int) -> Ports:
    """The ports that somebody asks for; raises PortError."""
    return _usable(_in_range(first), way_out="stop it, or give another --port")


def remember(folder: Path, ports: Ports) -> None:
    """Keep the ports for the next start."""
    write_private(folder / "ports.json", msgspec.json.encode(_Kept(**ports._asdict())))


def remembered(folder: Path) -> Ports | None:
    """The ports that the folder had before; None for a new one.

    Raises PortError for a file that is something else.
    """
    path = folder / "ports.json"
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise PortError(f"{path}: {error}; remove the file, and ports are chosen anew") from error
    return Ports(kept.ingest, kept.api, kept.sandbox, kept.metrics)


def by(port: int) -> str:
    """` by process 123 (python3)` of who listens there, as far as this user may know.

    Else empty.
    """
    sockets = _listening(port)
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            if any(str(handle.readlink()) in sockets for handle in (process / "fd").iterdir()):
                return f" by process {process.name} ({(process / 'comm').read_text().strip()})"
    return ""


def _in_range(first: int) -> Ports:
    if not 1 <= first <= LAST - 3:
        raise PortError(
            f"--port {first}: must be 1 to {LAST - 3}; API, sandbox and metrics take the next three"
        )
    return Ports.from_first(first)


def _with_metrics(ports: Ports, had: int) -> Ports:
    """With the port of metrics that it had, else the next one; 0 where somebody has that."""
    wanted = had or ports.sandbox + 1
    return ports._replace(metrics=wanted if wanted <= LAST and free(wanted) else 0)


def _usable(ports: Ports, *, way_out: str) -> Ports:
    for port in ports:
        trouble = _trouble(port)
        if trouble in (errno.EACCES, errno.EPERM):
            raise PortError(
                f"port {port} needs root, as all below 1024 do: choose a higher one with --port"
            )
        if trouble:
            raise PortError(f"port {port} is taken{by(port)}: {way_out}")
    return ports


def free(port: int) -> bool:
    """Whether this user may listen there now; if so, it is claimed."""
    return not _trouble(port)


def _first_taken(ports: Ports) -> int | None:
    """The first of the ports that is not free; None where all are, and claimed then."""
    taken = next((port for port in ports if not free(port)), None)
    if taken is not None:
        for port in ports:
            _let_go(port)
    return taken


def _trouble(port: int) -> int:
    """What speaks against listening there, as an errno; 0 for nothing, and it is claimed."""
    if port and not _claim(port):
        return errno.EADDRINUSE
    trouble = _bound(port)
    if trouble:
        _let_go(port)
    return trouble


_claims: dict[int, int] = {}  # file descriptors of locks, by port; the kernel ends them with us


def _lock(port: int) -> Path:
    return Path(tempfile.gettempdir()) / f"sinal-ports-{os.getuid()}" / str(port)


def _claim(port: int) -> bool:
    """Whether no other process of this user has claimed the port; it is ours then."""
    if port in _claims:
        return True
    path = _lock(port)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # Below /tmp others can put links, too: none is followed.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return True  # a folder that is not ours: then only who listens already is passed over
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    _claims[port] = handle
    return True


def _let_go(port: int) -> None:
    if (handle := _claims.pop(port, None)) is not None:
        os.close(handle)


def _bound(port: int) -> int:
    """Why nobody can bind there, as an errno; 0 where one can."""
    with socket.socket() as probe:
        # As servers do: without it a port seems taken while old connections of it linger
        # (TIME_WAIT).
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _listening(port: int) -> set[str]:
    """Sockets that listen on a port, as /proc names them in a process's `fd`."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
