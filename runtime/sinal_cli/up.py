"""`sinal up`: the whole platform until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sinal_cli.data_folder import FolderUnusable, Instance, write_private
from sinal_cli.embedded.process import ServiceStartError
from sinal_cli.local import environment, first_use, ports
from sinal_cli.local.bulletin import Bulletin
from sinal_cli.local.journal import journal
from sinal_cli.local.urls import BadUrl, Outside
from sinal_cli.offline import complain
from sinal_cli.roles.process import run_loop, stop_event
from sinal_cli.stack import GRACE_S, Stack
from sinal_core.http.server import ListenError
from sinal_crds.loading import InvalidManifests

STOP_S = 9.0  # a supervisor that waits ten seconds sees an orderly end
PRIVATE = 0o077  # umask: what we and our services write is nobody else's

EXPECTED = (ServiceStartError, FolderUnusable, InvalidManifests, ListenError, ports.PortError)


def run_up(
    *,
    files: Sequence[Path],
    data: Path,
    port: int | None,
    ready_file: Path | None,
    graph_url: str | None = None,
    public_url: str | None = None,
    grace_s: float = GRACE_S,
) -> int:
    """Run until SIGTERM or Ctrl-C.

    1 with a message when it cannot start, 2 for words that can't be meant.
    """
    missing = [path for path in files if not path.exists()]
    if missing:
        complain(f"{missing[0]}: no such file or folder")
        return 2
    if ready_file is not None and not ready_file.parent.is_dir():
        complain(f"--ready-file {ready_file}: there is no such folder")
        return 2
    try:
        outside = Outside.read(graph_url=graph_url, public_url=public_url)
    except BadUrl as error:
        complain(str(error))
        return 2
    os.umask(PRIVATE)
    up = Up(Instance(data), Bulletin(), ready_file=ready_file)
    try:
        run_loop(up.run(files=files, port=port, outside=outside, grace_s=grace_s))
    except EXPECTED as error:
        complain(str(error))
        return 1
    return 0


def ready_of(data: Path) -> Path:
    """Where a running stack tells of itself inside its data folder; gone when it stops."""
    return data / "ready.json"


class Up:
    """One stack in the foreground of a terminal."""

    def __init__(self, instance: Instance, bulletin: Bulletin, *, ready_file: Path | None) -> None:
        self._instance, self._bulletin = instance, bulletin
        self._ready_files = [
            ready_of(instance.folder),
            *([ready_file] if ready_file is not None else []),
        ]

    async def run(
        self, *, files: Sequence[Path], port: int | None, outside: Outside, grace_s: float
    ) -> None:
        """From the start to Ctrl-C; raises what is EXPECTED."""
        stop, say = stop_event(), self._bulletin.say
        with self._instance.opened() as instance, journal(instance.log("sinal"), say):
            chosen, note = ports.choose(instance.folder, port)
            stack = Stack(
                instance,
                files=files,
                ports=chosen[:3],
                metrics_port=chosen.metrics,
                outside=outside,
                say=say,
                grace_s=grace_s,
                on_change=lambda: self._publish(stack),
            )
            try:
                if await stack.start_unless(stop):
                    ports.remember(instance.folder, chosen)
                    self._publish(stack)
                    self._welcome(stack, note)
                    await stop.wait()
                say("stopping", "Ctrl-C or SIGTERM: what is under way is finished")
            finally:
                for path in self._ready_files:
                    # Before the stop: who waits for this file must not find a stack that is going.
                    path.unlink(missing_ok=True)
                async with asyncio.timeout(STOP_S):
                    await stack.stop()
            say("stopped", f"the data stays in {first_use.short(instance.folder)}")

    def _publish(self, stack: Stack) -> None:
        """Tell programs and shells where everything is."""
        body = msgspec.json.format(msgspec.json.encode(stack.ready), indent=2)
        environment.write(stack.folder, stack.ready, first_use.first_try(stack.plans, stack.ready))
        for path in self._ready_files:
            # the folder of somebody's ready file may be gone by now
            with contextlib.suppress(FileNotFoundError):
                write_private(path, body)

    def _welcome(self, stack: Stack, note: str) -> None:
        if note:
            self._bulletin.print(note)
        for line in first_use.lines(stack.ready, stack.plans, stack.folder):
            self._bulletin.print(line)
