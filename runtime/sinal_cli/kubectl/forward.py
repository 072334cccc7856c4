"""A port-forward for the time of one command: a child that says which port it took, and never
outlives us.

It is asked to end and then made to, whether the command ended, failed, or was stopped by a signal;
where the kernel can, it ends it with us even when we were killed.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from sinal_cli.client.target import NoTarget
from sinal_cli.embedded.process import wrapped

OPEN_S = 20.0
END_S = 5.0
_SAID = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ->")


class ForwardFailed(NoTarget):
    """There is no way to the API; the message ends with what kubectl said."""


class _Forward:
    """The child, and a thread that reads whatever it says: it says something of every
    connection.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - kubectl, with words of ours
            wrapped(command, death_signal="TERM"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        )
        self._lines: deque[str] = deque(maxlen=5)
        self._port: int | None = None
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def port(self, wait_s: float) -> int:
        """The local port once it listens; raises ForwardFailed."""
        self._told.wait(wait_s)
        if self._port is None:
            said = " ".join(self._lines) or "nothing"
            raise ForwardFailed(
                f"no port-forward to the operations API within {wait_s:g} s; kubectl said: {said}"
            )
        return self._port

    def close(self) -> None:
        """End the child and wait for it."""
        if self._child.poll() is None:
            self._child.terminate()
        try:
            self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(END_S)
        if self._child.stdout is not None:
            self._child.stdout.close()

    def _read(self) -> None:
        for line in self._child.stdout or ():
            self._lines.append(line.strip())
            found = _SAID.match(line)
            if found is not None and self._port is None:
                self._port = int(found[1])
                self._told.set()
        self._told.set()  # it has ended: there is nothing more to wait for


@contextlib.contextmanager
def forwarded(command: Sequence[str], *, wait_s: float = OPEN_S) -> Iterator[int]:
    """The local port of a port-forward that lasts as long as the block; raises ForwardFailed."""
    with _orderly():
        forward = _Forward(command)
        try:
            yield forward.port(wait_s)
        finally:
            forward.close()


@contextlib.contextmanager
def _orderly() -> Iterator[None]:
    """A SIGTERM ends the block like an exception, so that what it holds is let go."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
