"""The archive: a ZIP file with a manifest that names every entry, its size and its SHA-256.

Entries are written and read as streams, so that memory does not grow with what is kept. The
manifest comes last: a file without one is not a backup. The file gets its name when it is whole and
on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Self

import msgspec

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK = 1 << 20
LEFT_OUT = (
    "the keyring (keep it apart: without it sealed plans, quarantined deliveries and webhook URLs "
    "are lost)",
    "passwords of PostgreSQL, NATS and Redis, the admin key and the Destinations' Secrets",
    "the spool of each edge, which is on its own disk and goes on by itself",
    "Redis, which holds nothing that is not made anew",
)


class BadArchive(Exception):
    """It is not a backup, or not whole; the message says what is wrong and what to do."""


class ArchiveEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One part: what it holds, as the reader must find it."""

    name: str
    sha256: str
    bytes: int
    items: int  # rows of a table, messages of a queue, keys of a bucket


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds and what it was made of."""

    format: int = FORMAT
    sinal: str
    schema: int  # the newest migration
    began_at: datetime  # everything accepted before is in it
    snapshot_at: datetime  # of PostgreSQL
    entries: Sequence[ArchiveEntry]
    weeks: Sequence[str] = ()  # partitions
    sequences: dict[str, int] = {}
    left_out: Sequence[str] = LEFT_OUT


class ArchivePart:
    """An entry that is being written."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self.bytes = self.items = 0

    def write(self, data: bytes, *, items: int = 0) -> None:
        """Add bytes, and how many items they complete."""
        self._out.write(data)
        self._digest.update(data)
        self.bytes += len(data)
        self.items += items

    def entry(self, name: str) -> ArchiveEntry:
        """What the manifest says of it."""
        return ArchiveEntry(
            name=name, sha256=self._digest.hexdigest(), bytes=self.bytes, items=self.items
        )


class ArchiveWriter:
    """A new archive; without `finish` nothing is left of it."""

    def __init__(self, path: Path) -> None:
        self._path, self._temporary = path, path.with_name(path.name + ".new")
        self._entries: list[ArchiveEntry] = []

    def __enter__(self) -> Self:
        # Personal data is in it: nobody else may read the file, not even while it is written.
        descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        return self

    def __exit__(self, *_: object) -> None:
        # After an error an entry may still be open, and then `ZipFile` refuses to close.
        with contextlib.suppress(ValueError):
            self._zip.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[ArchivePart]:
        """Write one entry; one at a time."""
        # Sizes are not known before the end. Without this, an entry beyond 2 GiB ends in an error.
        with self._zip.open(name, "w", force_zip64=True) as out:
            part = ArchivePart(out)
            yield part
        self._entries.append(part.entry(name))

    def finish(self, **about: object) -> BackupManifest:
        """Write the manifest, and give the file its name once it is on disk."""
        manifest = BackupManifest(entries=tuple(self._entries), **about)  # type: ignore[arg-type]
        self._zip.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        self._zip.close()
        self._file.flush()
        # Before the name: after a power cut a file of that name would look like a backup and be
        # empty.
        os.fsync(self._file.fileno())
        self._temporary.replace(self._path)
        return manifest


class ArchiveReader:
    """An archive that is there; raises BadArchive."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            self.manifest = msgspec.json.decode(self._zip.read(MANIFEST), type=BackupManifest)
        except FileNotFoundError as error:
            raise BadArchive(f"{path}: no such file") from error
        except (OSError, zipfile.BadZipFile, KeyError, msgspec.MsgspecError) as error:
            raise BadArchive(
                f"{path}: not a whole backup ({type(error).__name__}); take another one"
            ) from error
        if self.manifest.format > FORMAT:
            raise BadArchive(
                f"{path}: made by sinal {self.manifest.sinal} in format {self.manifest.format}, "
                "and this release knows "
                f"{FORMAT}: restore it with that release or a newer one"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def under(self, folder: str) -> list[ArchiveEntry]:
        """Entries of a folder."""
        return [entry for entry in self.manifest.entries if entry.name.startswith(folder)]

    def chunks(self, entry: ArchiveEntry) -> Iterator[bytes]:
        """The bytes of an entry.

        Raises BadArchive after the last where they are not those that were written.
        """
        digest = hashlib.sha256()
        try:
            with self._zip.open(entry.name) as source:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    yield chunk
        except (OSError, zipfile.BadZipFile, KeyError, EOFError) as error:
            raise BadArchive(
                f"{entry.name}: damaged ({type(error).__name__}); take another backup"
            ) from error
        if digest.hexdigest() != entry.sha256:
            raise BadArchive(
                f"{entry.name}: its checksum is not the manifest's; take another backup"
            )

    def lines(self, entry: ArchiveEntry) -> Iterator[bytes]:
        """The same, line by line."""
        rest = b""
        for chunk in self.chunks(entry):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            raise BadArchive(f"{entry.name}: its last line is cut off; take another backup")

    def verify(self) -> None:
        """Read everything; raises BadArchive."""
        for entry in self.manifest.entries:
            for _ in self.chunks(entry):
                pass
