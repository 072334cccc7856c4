"""Where a manifest goes that somebody makes through the API: a folder of files, a cluster, or nowhere.

`FolderSink` is for `sinal up`, which watches the folder. A file is there whole or not at all, and none is written over:
what stands in a folder may be somebody's own. `cluster.ClusterSink` is for a cluster.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml


class AlreadyThere(Exception):
    """A manifest of that name is there and says something else."""


class Fault(NamedTuple):
    """What is wrong with one field of a manifest."""

    field: str
    message: str


class Refusal(Exception):
    """The cluster does not take the manifest; each field at fault is named where it is known."""

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class OwnedByOthers(Refusal):
    """Somebody else has set a field of that object to another value."""


class InvalidForCluster(Refusal):
    """The API server's validation or admission refuses it."""


class NotAllowed(Refusal):
    """The cluster does not let this process do it; the message says what to grant."""


class SinkUnavailable(Exception):
    """The manifest could not be kept; the message says why."""


class ManifestSink(Protocol):
    """Keeps manifests so that the operator sees them."""

    async def put(self, manifest: Mapping[str, Any]) -> str:
        """Keep a valid manifest and say where; raises AlreadyThere, a Refusal, SinkUnavailable."""
        ...


class FolderSink:
    """One YAML file an object."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, manifest: Mapping[str, Any]) -> str:
        """Write `<namespace>.<kind>.<name>.yaml`; the same manifest again is fine."""
        metadata = manifest["metadata"]
        name = f"{metadata['namespace']}.{manifest['kind'].lower()}.{metadata['name']}.yaml"
        text = yaml.safe_dump(dict(manifest), allow_unicode=True, sort_keys=False)
        try:
            await asyncio.to_thread(self._write, self._folder / name, text)
        except OSError as error:
            raise SinkUnavailable(f"the folder of manifests takes no file: {error.strerror}") from error
        return name

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        temporary.write_text(text, encoding="utf-8")
        try:
            os.link(temporary, path)  # fails where the file is there, unlike a rename
        except FileExistsError:
            if path.read_text(encoding="utf-8") != text:
                raise AlreadyThere(path.name) from None
        finally:
            temporary.unlink()
