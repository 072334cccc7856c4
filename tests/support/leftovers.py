"""What this process holds: open descriptors, threads, child processes, logs that were set up.

Each by its name.

Linux tells it in `/proc/self` for some dozen small reads, so it may be asked after each test: no
heap is searched. A descriptor that only the garbage collector would close is still open, and so is
seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import stat
import threading
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import structlog

EXEC_S = 5.0  # no process is longer without a command line, unless it wants none
_SELF = Path("/proc/self")
_TURNS = 20  # of a loop, for tasks that are about to end


class Thing(NamedTuple):
    """One thing that is held."""

    kind: str  # descriptor, thread, process, log level
    number: int
    what: str  # tells it from another that gets the same number later

    def __str__(self) -> str:
        if self.kind == "descriptor":
            return _described(self.number, self.what)
        return f"{self.kind} {self.number}: {self.what}"


def held() -> set[Thing]:
    """All that is held now; threads only where there is no `/proc`."""
    return {*_descriptors(), *_threads(), *_processes(), _logs()}


def collected() -> list[str]:
    """Run the garbage collector.

    Returns what it complains about, such as a client that nobody closed.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
    return [str(one.message) for one in told]


def pending(runner: asyncio.Runner) -> list[str]:
    """Tasks of a loop that do not end by themselves within a few of its turns."""
    loop = runner.get_loop()
    if not asyncio.all_tasks(loop):
        return []

    async def settle() -> list[str]:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    return runner.run(settle())


def _descriptors() -> list[Thing]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(_SELF / "fd"):
            with contextlib.suppress(OSError):  # the one that lists
                found.append(Thing("descriptor", int(name), os.readlink(f"{_SELF}/fd/{name}")))
    return found


def _logs() -> Thing:
    config = structlog.get_config()
    how = f"{config['wrapper_class'].__name__} of {type(config['logger_factory']).__name__}"
    return Thing("log level", logging.getLogger().level, how)


def _threads() -> list[Thing]:
    return [Thing("thread", thread.ident or 0, thread.name) for thread in threading.enumerate()]


def _processes() -> list[Thing]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        for thread in os.listdir(_SELF / "task"):
            with contextlib.suppress(OSError):  # one that has just ended
                found += Path(f"{_SELF}/task/{thread}/children").read_text().split()
    return [_process(int(pid)) for pid in found]


def _words(pid: int) -> str:
    """The command line; nothing of a process that has ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return command.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def _state(pid: int) -> str:
    """The kernel's letter for what it does; X where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (OSError, IndexError):
        return "X"


def _process(pid: int) -> Thing:
    until = time.monotonic() + EXEC_S
    while not (words := _words(pid)) and _state(pid) not in "ZX" and time.monotonic() < until:
        time.sleep(0)  # it is about to be another program, and has no words for a moment
    return Thing("process", pid, words or "ended, and nobody has asked how")


def _described(number: int, target: str) -> str:
    """A descriptor in words: `socket 12: listening on ('127.0.0.1', 8080)`."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            with socket.socket(fileno=os.dup(number)) as one:
                return f"socket {number}: {_ends(one)}"
    return f"descriptor {number}: {target}"


def _ends(one: socket.socket) -> str:
    if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return f"listening on {one.getsockname()}"
    try:
        return f"{one.getsockname()} connected with {one.getpeername()}"
    except OSError:
        return f"{one.getsockname()} not connected"
