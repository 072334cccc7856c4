"""Which API to talk to and with which key: said on the command line, in the environment, or by a
running `sinal up`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sinal_cli.up import ready_of

DATA = Path(".sinal")


class NoTarget(Exception):
    """It is not known where the API is, or which key to use; the message says how to tell."""


@dataclass(frozen=True)
class TargetOptions:
    """What the command line says."""

    api: str | None = None
    key: str | None = None
    data: Path | None = None


@dataclass(frozen=True, repr=False)
class Target:
    """Base URL and key; of a `sinal up` its folder and where it tells how it is, too."""

    url: str
    key: str
    folder: Path | None = field(default=None, compare=False)
    metrics: str | None = field(default=None, compare=False)
    on_cluster: bool = field(default=False, compare=False)


class _Ready(msgspec.Struct, frozen=True):
    api: str
    admin_key: str
    pid: int
    metrics: str | None = None


def find(said: TargetOptions, environment: Mapping[str, str] = os.environ) -> Target:
    """The command line goes before the environment, that before a running stack.

    Raises NoTarget.
    """
    # Who names a folder means the stack that runs there, whatever the shell has sourced before.
    url = said.api or (environment.get("SINAL_API_URL") if said.data is None else None)
    key = said.key or (environment.get("SINAL_API_KEY") if said.data is None else None)
    if url and key:
        return Target(url.rstrip("/"), key)
    ready = _ready(said.data or DATA)
    if ready is not None and (url is None or url.rstrip("/") == ready.api):
        return Target(
            ready.api, key or ready.admin_key, folder=said.data or DATA, metrics=ready.metrics
        )
    if url:
        raise NoTarget("no key: give --key, or set SINAL_API_KEY")
    where = said.data or DATA
    raise NoTarget(
        f"no API: start one with `sinal up`, give its folder with --data (looked in {where}), or "
        "give --api and --key "
        "(SINAL_API_URL, SINAL_API_KEY)"
    )


def _ready(folder: Path) -> _Ready | None:
    """What a stack on this folder tells of itself, if it runs.

    Raises NoTarget for another user's.
    """
    file = ready_of(folder)
    try:
        ready = msgspec.json.decode(file.read_bytes(), type=_Ready)
    except PermissionError as error:
        raise NoTarget(
            f"{file} is another user's, who alone may read its key: run this as that user, or give "
            "--api and --key"
        ) from error
    except (OSError, msgspec.MsgspecError):
        return None
    return ready if _runs(ready.pid) else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # somebody else's, and there
    except OSError:
        return False
    return True


@contextmanager
def near(said: TargetOptions) -> Iterator[Target]:
    """What words, environment or a running stack say, for one command; raises NoTarget."""
    yield find(said)


# How a command reaches its API; `kubectl sinal` goes through the cluster.
REACH: ContextVar[Callable[[TargetOptions], AbstractContextManager[Target]]] = ContextVar(
    "REACH", default=near
)
