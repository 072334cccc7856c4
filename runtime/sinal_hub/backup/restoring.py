"""Puts a backup back, or tries one beside everything that is there.

PostgreSQL first, in one transaction, then the queues: workers that start meanwhile find the ids of
everything that was done. A second try after a failure begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from sinal_core.nats import Bus
from sinal_core.nats.jetstream import JetStream
from sinal_hub.backup import making, queues
from sinal_hub.backup.archive import ArchiveEntry, ArchiveReader, BackupManifest, BadArchive
from sinal_hub.store import dump
from sinal_hub.store.dump import DumpTarget

SCRATCH = "sinal_backup_check"
_described = msgspec.json.Decoder(queues.Described).decode


class NotEmpty(Exception):
    """The installation holds something or is in use; the message says what to do."""


async def restore(
    bus: Bus,
    database_url: str,
    path: Path,
    *,
    force: bool,
    with_queues: bool = True,
    replicas: int = 1,
    manifests: Path | None = None,
) -> BackupManifest:
    """Restore into an empty installation, with `force` over one.

    Raises NotEmpty, BadArchive, BusError, StoreError.

    Without `with_queues` NATS is left as it is.
    """
    with ArchiveReader(path) as archive:
        archive.verify()  # nothing is touched for a backup that is damaged
        await _refuse(bus, database_url, force=force, with_queues=with_queues)
        tenants = await _rows(archive, database_url)
        if with_queues:
            if force:
                # Only now: had PostgreSQL failed, the queues would still be what they were.
                await queues.clear(bus)
            await _buckets(archive, bus, replicas)
            await _queues(archive, bus, replicas, tenants)
        for entry in archive.under(making.MANIFESTS):
            if manifests is not None:
                # The last part of the name only: a forged archive must not write outside of this
                # folder.
                _write(manifests / Path(entry.name).name, b"".join(archive.chunks(entry)))
        return archive.manifest


async def check(bus: Bus, database_url: str, path: Path) -> BackupManifest:
    """Restore into a database and streams of its own, compare, and remove them.

    Raises as `restore`.
    """
    name = f"{SCRATCH}_{uuid4().hex[:8]}"
    await queues.remove_left_over(bus, f"{SCRATCH}_")
    with ArchiveReader(path) as archive:
        archive.verify()
        async with dump.scratch(database_url, name) as url:
            await _rows(archive, url)
        for entry in archive.under(making.QUEUES):
            if entry.name.endswith(making.MESSAGES) and entry.items:
                await _trial(bus, archive, entry, name)
        return archive.manifest


async def _refuse(bus: Bus, database_url: str, *, force: bool, with_queues: bool) -> None:
    if force:
        return
    if await dump.in_use(database_url):
        raise NotEmpty(
            "the database holds events or keys: restore into an empty one, or replace all of it "
            "with --force"
        )
    try:
        if with_queues:
            await queues.require_empty(bus)
    except queues.QueuesNotEmpty as error:
        raise NotEmpty(
            f"{error}: restore beside an empty NATS, or replace all of it with --force"
        ) from error
    if found := await dump.others(database_url):
        raise NotEmpty(
            f"{found} other connections to the database: stop all roles first (or go on all the "
            "same with --force)"
        )


async def _rows(archive: ArchiveReader, url: str) -> Mapping[str, str]:
    manifest = archive.manifest
    entries = {
        entry.name.removeprefix(making.ROWS).removesuffix(".copy"): entry
        for entry in archive.under(making.ROWS)
    }
    async with DumpTarget.open(
        url, version=manifest.schema, weeks=manifest.weeks, at=manifest.snapshot_at
    ) as target:
        for table in await target.sequence(list(entries)):
            entry = entries[table]
            rows = await target.fill(table, archive.chunks(entry))
            if rows != entry.items:
                raise BadArchive(f"{entry.name}: {rows} rows, and the manifest says {entry.items}")
        await target.set_sequences(manifest.sequences)
        return await target.tenants()


async def _buckets(archive: ArchiveReader, bus: Bus, replicas: int) -> None:
    for bucket in queues.BUCKETS:
        described = _description(archive, f"{making.KEYS}{bucket}/")
        if described is not None:
            await queues.prepare(bus, described, replicas=replicas)
        for entry in archive.under(f"{making.KEYS}{bucket}/{making.MESSAGES}"):
            await queues.put(bus, bucket, archive.lines(entry))


async def _queues(
    archive: ArchiveReader, bus: Bus, replicas: int, tenants: Mapping[str, str]
) -> None:
    for entry in archive.under(making.QUEUES):
        slug = entry.name.split("/")[1]
        if entry.name.endswith(making.STREAM):
            described: Any = _description(archive, f"{making.QUEUES}{slug}/")
            if slug in tenants:
                described = queues.handed_over(described, tenants[slug])
            await queues.prepare(bus, described, replicas=replicas)
        elif (stored := await queues.publish(bus, archive.lines(entry))) != entry.items:
            raise BadArchive(
                f"{entry.name}: {stored} messages, and the manifest says {entry.items}"
            )


async def _trial(bus: Bus, archive: ArchiveReader, entry: ArchiveEntry, name: str) -> None:
    """A queue of its own that takes the messages of one backup's queue; nobody reads it."""
    config = {
        "name": name,
        "subjects": [f"{name}.>"],
        "storage": "file",
        "retention": "limits",
        "num_replicas": 1,
    }
    # Gone after an hour by itself: copies of personal data must not stay where a trial was killed.
    described = queues.Described({**config, "max_consumers": 1, "max_age": 3_600 * 10**9})
    await queues.prepare(bus, described, replicas=1)
    try:
        stored = await queues.publish(bus, archive.lines(entry), prefix=f"{name}.")
        if stored != entry.items:
            raise BadArchive(
                f"{entry.name}: {stored} messages, and the manifest says {entry.items}"
            )
    finally:
        await JetStream(bus.api).delete_stream(name)


def _description(archive: ArchiveReader, folder: str) -> queues.Described | None:
    found = archive.under(folder + making.STREAM)
    return _described(b"".join(archive.chunks(found[0]))) if found else None


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Closed to others before anything is in it.
    path.touch(mode=0o600)
    path.write_bytes(body)
