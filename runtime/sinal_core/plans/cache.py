"""The plans as they were last read, on disk and still sealed: an edge that starts while the broker
is away has them.

The file is written whole or not at all. It is a copy: what the bucket says later replaces it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

VERSION = 1


class Cached(msgspec.Struct, frozen=True):
    """What the bucket held: when it was made, and its sealed plans by slug."""

    version: int = VERSION
    created: str = ""
    plans: dict[str, str] = {}


class PlanCache:
    """One file; a file that can't be read counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether there is something to start from."""
        return self._path.exists()

    def read(self) -> Cached:
        """What was kept; empty when there is nothing to read."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Cached)
        except FileNotFoundError:
            return Cached()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("plans.cache_unreadable", error=type(error).__name__)
            return Cached()
        return found if found.version == VERSION else Cached()

    def write(self, created: str, plans: Mapping[str, bytes]) -> None:
        """Replace the file; a disk that refuses costs the cache, nothing else."""
        body = msgspec.json.encode(
            Cached(VERSION, created, {slug: raw.decode() for slug, raw in plans.items()})
        )
        temporary = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Secrets in it are sealed, hosts and names of keys are not.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(body)
            temporary.replace(self._path)
        except OSError as error:
            log.warning("plans.cache_not_written", error=type(error).__name__)
