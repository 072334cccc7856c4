"""Makes a backup of a platform that runs.

The sequence is the whole of it: a fact goes from the quarantine to its tenant's queue and from
there to PostgreSQL, and leaves a place only when it is in the next. Read in that sequence, a fact
that was accepted before the beginning is found at least once: where it lay, or further on. What is
found twice is told apart by its id when it is worked on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from sinal_core.nats import Bus
from sinal_crds import names
from sinal_hub.backup import queues
from sinal_hub.backup.archive import ArchivePart, ArchiveWriter, BackupManifest
from sinal_hub.store.dump import Source

STREAM = "stream.json"
MESSAGES = "messages.jsonl"
ROWS = "postgres/"
QUEUES = "queues/"
KEYS = "buckets/"
MANIFESTS = "manifests/"


async def make(
    bus: Bus, database_url: str, path: Path, *, manifests: Path | None = None
) -> BackupManifest:
    """Write a backup to `path`; raises BusError, StoreError, OSError, and leaves no file then.

    `manifests` is the folder of what was declared through the API, where there is one.
    """
    began_at = datetime.now(UTC)
    with ArchiveWriter(path) as archive:
        for bucket in queues.BUCKETS:
            stream = f"KV_{bucket}"
            await _queue(archive, bus, stream, f"$KV.{bucket}.>", f"{KEYS}{bucket}/")
        for stream in await queues.queues(bus):
            slug = names.slug_of_stream(stream)
            await _queue(archive, bus, stream, names.in_filter(slug), f"{QUEUES}{slug}/")
        _files(archive, manifests)
        async with Source.open(database_url) as source:
            schema, snapshot_at = await source.version(), await source.now()
            for table in await source.tables():
                with archive.part(f"{ROWS}{table}.copy") as part:
                    await _rows(part, source.rows(table))
            return archive.finish(
                sinal=version("sinal"),
                schema=schema,
                began_at=began_at,
                snapshot_at=snapshot_at,
                weeks=await source.weeks(),
                sequences=await source.sequences(),
            )


async def _queue(archive: ArchiveWriter, bus: Bus, stream: str, subject: str, folder: str) -> None:
    described = await queues.describe(bus, stream)
    if described is None:
        return
    with archive.part(folder + STREAM) as part:
        part.write(msgspec.json.encode(described), items=1)
    with archive.part(folder + MESSAGES) as part:
        async for kept in queues.messages(bus, stream, subject):
            part.write(msgspec.json.encode(kept) + b"\n", items=1)


async def _rows(part: ArchivePart, chunks: AsyncIterator[bytes]) -> None:
    """The first chunk is the columns' names, then every line is a row: within one, COPY escapes
    line feeds.
    """
    part.write(await anext(chunks))
    async for chunk in chunks:
        part.write(chunk, items=chunk.count(b"\n"))


def _files(archive: ArchiveWriter, folder: Path | None) -> None:
    for path in sorted(folder.glob("*.y*ml")) if folder is not None and folder.is_dir() else ():
        with archive.part(MANIFESTS + path.name) as part:
            part.write(path.read_bytes(), items=1)
