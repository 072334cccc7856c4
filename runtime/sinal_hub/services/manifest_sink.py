"""Where a manifest goes that somebody makes through the API: a folder of files, a cluster, or
nowhere.

`FolderSink` is for `sinal up`, which watches the folder. A file is there whole or not at all, and
none is written over: what stands in a folder may be somebody's own. Only `spec.suspended` changes,
in a file that is as this sink made it. `cluster.ClusterSink` is for a cluster.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from sinal_hub.services.errors import FieldFault


class AlreadyThere(Exception):
    """A manifest of that name is there and says something else."""


class Refusal(Exception):
    """The cluster does not take the manifest; each field at fault is named where it is known."""

    def __init__(self, message: str, faults: Sequence[FieldFault] = ()) -> None:
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


class ObjectRef(NamedTuple):
    """An object that is there already; `uid` where nobody shall make it anew."""

    kind: str
    namespace: str
    name: str
    uid: str | None = None


class ManifestSink(Protocol):
    """Keeps manifests so that the operator sees them."""

    async def put(self, manifest: Mapping[str, Any]) -> str:
        """Keep a valid manifest and say where; raises AlreadyThere, a Refusal, SinkUnavailable."""
        ...

    async def set_suspended(self, ref: ObjectRef, suspended: bool) -> str:
        """Change `spec.suspended` of an object and say where it is kept.

        Raises a Refusal, SinkUnavailable.
        """
        ...


class FolderSink:
    """One YAML file an object."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, manifest: Mapping[str, Any]) -> str:
        """Write `<namespace>.<kind>.<name>.yaml`; the same manifest again is fine."""
        metadata = manifest["metadata"]
        name = _file(manifest["kind"], metadata["namespace"], metadata["name"])
        with _taking():
            await asyncio.to_thread(self._write, self._folder / name, _text(manifest))
        return name

    async def set_suspended(self, ref: ObjectRef, suspended: bool) -> str:
        """In the file that was made here.

        Raises OwnedByOthers where a person has written or changed it.
        """
        name = _file(ref.kind, ref.namespace, ref.name)
        with _taking():
            if not await asyncio.to_thread(self._change, self._folder / name, suspended):
                advice = "is in a file of yours: change it there, it is taken at once"
                raise OwnedByOthers(
                    f"{ref.kind} {ref.name!r}", [FieldFault("spec.suspended", advice)]
                )
        return name

    @staticmethod
    def _change(path: Path, suspended: bool) -> bool:
        """Whether the file was as this sink writes it, so that another may take its place."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        try:
            manifest = yaml.safe_load(text)
        except yaml.YAMLError:  # somebody is at it, or has left it half done
            return False
        # What is written otherwise is a person's, and its comments and layout would be lost.
        if not isinstance(manifest, dict) or _text(manifest) != text:
            return False
        manifest["spec"] = {**manifest["spec"], "suspended": suspended}
        # It does not end as manifests do, so whoever watches the folder reads none half written.
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        temporary.write_text(_text(manifest), encoding="utf-8")
        temporary.replace(path)
        return True

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


def _file(kind: str, namespace: str, name: str) -> str:
    return f"{namespace}.{kind.lower()}.{name}.yaml"


def _text(manifest: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(manifest), allow_unicode=True, sort_keys=False)


@contextmanager
def _taking() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkUnavailable(f"the folder of manifests takes no file: {error.strerror}") from error
