"""`sinal backup` and `sinal restore`: a platform's state in one file, and back."""

from __future__ import annotations

import re
import time
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sinal_cli.offline import complain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sinal_cli.settings import BackupSettings
    from sinal_core.nats import Bus
    from sinal_core.postgres.settings import OwnerSettings
    from sinal_hub.backup.archive import BackupManifest

CONNECT_S = 10.0
SUFFIX = ".sinal-backup"
FILES = f"sinal-*{SUFFIX}"
_NAME = re.compile(r"sinal-\d{8}T\d{6}Z\.sinal-backup")


def backup(
    folder: Path,
    /,
    *,
    keep: Annotated[int, Parameter(negative=())] = 7,
    check: bool = True,
    data: Path | None = None,
) -> int:
    """Back up what PostgreSQL and NATS hold into a new file, try it by restoring it beside them,
    and say what is in it.

    It runs beside a platform that works. Settings come from SINAL_… variables, as for the roles, or
    with --data from the folder of a `sinal up`; it connects as the owner of the database. The
    keyring is not in the file.

    Parameters
    ----------
    folder
        Where the file goes; its name is the time.
    keep
        Remove all but so many of the newest files there, once the new one is good.
    check
        Restore the file into a database and streams of its own, compare and remove them; needs the
        right to create a database.
    data
        Data folder of a `sinal up`, whether it runs or not.
    """
    from sinal_hub.backup import making, restoring

    path = folder / f"sinal-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"
    began = time.monotonic()
    said: list[str] = []

    async def work(bus: Bus, settings: BackupSettings) -> BackupManifest:
        url = _owner(settings)
        manifest = await making.make(bus, url, path, manifests=settings.manifest_folder)
        if check:
            await restoring.check(bus, url, path)
        size, took_s = path.stat().st_size, time.monotonic() - began
        await _noted(url, manifest, size=size, took_s=took_s, checked=check)
        said.append(
            f"{path}: {size:,} bytes in {took_s:.1f} s, "
            f"{'restored and compared' if check else 'not tried'}"
        )
        return manifest

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        complain(f"{folder}: {error.strerror}")
        return 1
    manifest = _done(data, work, beside=True)
    if manifest is None:
        # A file that failed its check must not be taken for the newest good one.
        path.unlink(missing_ok=True)
        return 1
    removed = forget(folder, keep)
    _say(said[0])
    _tell(manifest)
    if removed:
        _say(f"removed: {', '.join(one.name for one in removed)}")
    return 0


def restore(
    file: Path,
    /,
    *,
    force: bool = False,
    postgres_only: bool = False,
    check: bool = False,
    data: Path | None = None,
) -> int:
    """Put a backup back into an empty database and an empty NATS. Stop all roles first.

    Parameters
    ----------
    file
        What `sinal backup` wrote.
    force
        Replace what is there. All events since the backup are lost.
    postgres_only
        Leave NATS as it is: what waits there is newer than the backup and is worked on.
    check
        Change nothing: restore into a database and streams of its own, compare and remove them.
    data
        Data folder of a `sinal up` that is stopped; a new one is made.
    """
    from sinal_hub.backup import restoring

    async def work(bus: Bus, settings: BackupSettings) -> BackupManifest:
        if check:
            return await restoring.check(bus, _owner(settings), file)
        return await restoring.restore(
            bus,
            _owner(settings),
            file,
            force=force,
            with_queues=not postgres_only,
            replicas=settings.nats_replicas,
            manifests=settings.manifest_folder,
        )

    if not file.is_file():
        complain(f"{file}: no such file")
        return 1
    manifest = _done(data, work, beside=check)
    if manifest is None:
        return 1
    _say(f"{file}: {'good' if check else 'restored'}")
    _tell(manifest)
    if not check:
        _say(_next(data))
    return 0


def forget(folder: Path, keep: int) -> list[Path]:
    """Remove all backups of a folder but the newest, and what killed ones have left.

    Returns the backups removed.
    """
    for left in folder.glob(f"{FILES}.new"):
        left.unlink(missing_ok=True)
    found = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    # Names are times in UTC, so that they sort by age. One stays, whatever `keep` says.
    old = found[: max(0, len(found) - max(1, keep))]
    for path in old:
        path.unlink()
    return old


def _owner(settings: OwnerSettings) -> str:
    return settings.owner_url.get_secret_value()


def _next(data: Path | None) -> str:
    missing = "What came after the backup is missing."
    if data is None:
        return f"Now: the keyring of the same platform in its place, then all roles. {missing}"
    keyring = data / "keyring.json"
    first = "" if keyring.exists() else f"the keyring of the same stack to {keyring}, then "
    return f"Now: {first}`sinal up --data {data}` with the same --file. {missing}"


def _done(
    data: Path | None,
    work: Callable[[Bus, BackupSettings], Awaitable[BackupManifest]],
    *,
    beside: bool,
) -> BackupManifest | None:
    """What the work gives; None, with a word on the error, where it fails."""
    from sinal_cli.data_folder import FolderUnusable
    from sinal_cli.embedded.process import ServiceStartError
    from sinal_cli.roles.process import run_loop
    from sinal_core.nats import BusError
    from sinal_core.postgres.errors import StoreError
    from sinal_hub.backup.archive import BadArchive
    from sinal_hub.backup.restoring import NotEmpty

    found: list[BackupManifest] = []

    async def run() -> None:
        async with _reached(data, beside=beside) as (bus, settings):
            found.append(await work(bus, settings))

    try:
        run_loop(run())
    except (BadArchive, NotEmpty, FolderUnusable, ServiceStartError) as error:
        complain(str(error))
    except StoreError as error:
        complain(f"PostgreSQL: {error}")
    except BusError as error:
        complain(f"NATS: {error}")
    except OSError as error:
        complain(f"{error.filename or 'the file'}: {error.strerror or error}")
    return found[0] if found else None


@asynccontextmanager
async def _reached(data: Path | None, *, beside: bool) -> AsyncIterator[tuple[Bus, BackupSettings]]:
    """NATS, and the settings that lead to it and to PostgreSQL."""
    from sinal_cli.local.at_hand import at_hand
    from sinal_cli.settings import BackupSettings
    from sinal_core.nats import Bus
    from sinal_core.telemetry.logs import configure

    configure(level="warning", json=BackupSettings().log_json)
    async with (
        nullcontext(BackupSettings()) if data is None else at_hand(data, beside=beside) as settings
    ):
        bus = await Bus.connect(
            settings.nats_url,
            name="sinal-backup",
            wait_s=CONNECT_S,
            authority=settings.nats_authority,
        )
        try:
            yield bus, settings
        finally:
            await bus.close()


async def _noted(
    url: str, manifest: BackupManifest, *, size: int, took_s: float, checked: bool
) -> None:
    """Leave word in the database, for metrics; a backup is good without it."""
    from sinal_core.postgres.errors import StoreError
    from sinal_hub.store.backups import note

    try:
        await note(url, began_at=manifest.began_at, size=size, took_s=took_s, checked=checked)
    except StoreError as error:
        complain(f"the backup is good, but could not be noted in PostgreSQL: {error}")


def _tell(manifest: BackupManifest) -> None:
    from sinal_hub.backup import making

    def items(folder: str, end: str = "") -> int:
        return sum(
            e.items for e in manifest.entries if e.name.startswith(folder) and e.name.endswith(end)
        )

    queued = items(making.QUEUES, making.MESSAGES)
    _say(
        f"as of {manifest.began_at:%Y-%m-%d %H:%M:%S} UTC: {items(making.ROWS):,} rows, "
        f"{queued:,} queued events"
    )
    for what in manifest.left_out:
        _say(f"not in it: {what}")


def _say(line: str) -> None:
    """A line; on a terminal folded between its words."""
    from sinal_cli.client.show import Output

    Output(as_json=False).sentence(line)
