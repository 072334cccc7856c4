"""A role's process without what its libraries import and it never uses: it starts sooner and is
smaller.

`sinal run ROLE` is understood here where it says no more than that, so that the parser of the whole
command line stays away. Two libraries import others only to see whether they are there: structlog
rich, to print tracebacks for people, nats-py aiohttp, for WebSockets. Both do without where these
are not installed, and so they do here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FILE = ("--file", "-f")


class RunCommand(NamedTuple):
    """The role that shall run, and its files."""

    role: str
    files: tuple[Path, ...]


def understood(words: Sequence[str]) -> RunCommand | None:
    """A plain `run ROLE [--file PATH]…`.

    None for anything else, which the whole command line reads.
    """
    if len(words) < 2 or words[0] != "run" or words[1].startswith("-"):
        return None
    options, files = list(words[2:]), []
    while options:
        if len(options) < 2 or options[0] not in FILE or options[1].startswith("-"):
            return None
        files.append(Path(options[1]))
        del options[:2]
    return RunCommand(words[1], tuple(files))


def run(wanted: RunCommand) -> object:
    """The role until it ends; its exit code."""
    with away("rich", "aiohttp"):
        # Imported once here, they keep what they found out about the absent ones.
        import nats
        import structlog

        del nats, structlog
    from sinal_cli.reporting import named, reported
    from sinal_cli.roles.process import run_role

    role = named(("run", wanted.role))
    return reported(role, lambda: run_role(wanted.role, files=wanted.files))


@contextmanager
def away(*packages: str) -> Iterator[None]:
    """Let these packages look as if they were not installed, unless they are imported already."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: the import of it fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
