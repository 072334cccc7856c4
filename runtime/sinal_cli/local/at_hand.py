"""PostgreSQL and NATS of a data folder for one command: those of the stack that runs there, else
started meanwhile.

`<data>/services.json` holds the settings under which they are reached, while a stack runs. It is
its owner's alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from sinal_cli.data_folder import FolderUnusable, Instance, write_private
from sinal_cli.embedded.nats import Nats
from sinal_cli.embedded.postgres import Postgres
from sinal_cli.settings import BackupSettings

FILE = "services.json"


class _Running(msgspec.Struct, frozen=True):
    pid: int
    environment: dict[str, str]  # SINAL_… variables


def tell(folder: Path, environment: Mapping[str, str]) -> None:
    """Say how the services of this process's stack are reached."""
    running = _Running(os.getpid(), dict(environment))
    write_private(folder / FILE, msgspec.json.encode(running))


def forget(folder: Path) -> None:
    """They are gone."""
    (folder / FILE).unlink(missing_ok=True)


def settings_of(nats: Nats, postgres: Postgres, folder: Path) -> dict[str, str]:
    """What a backup or a restore needs to know, as variables: it never gets the keyring."""
    return {
        "SINAL_NATS_URL": nats.url,
        "SINAL_MAINTENANCE_DATABASE_URL": postgres.url(),
        "SINAL_MANIFEST_FOLDER": str(folder / "manifests"),
        "SINAL_NATS_REPLICAS": "1",
    }


@asynccontextmanager
async def at_hand(data: Path, *, beside: bool) -> AsyncIterator[BackupSettings]:
    """Settings that reach them; `beside` a running stack, or else alone.

    Raises FolderUnusable, ServiceError.
    """
    found = _running(data) if beside else None
    if found is not None:
        yield _settings(found)
        return
    if beside and not (data / "secrets.json").exists():
        raise FolderUnusable(f"{data} is not a data folder of `sinal up`: give it with --data")
    with Instance(data).opened() as instance:
        secrets, log, folder = instance.secrets, instance.log, instance.folder
        postgres = Postgres(folder / "postgres", password=secrets.postgres, log=log("postgres"))
        nats = Nats(folder / "nats", password=secrets.nats, log=log("nats"))
        try:
            await asyncio.gather(postgres.start(), nats.start())
            yield _settings(settings_of(nats, postgres, folder))
        finally:
            await asyncio.gather(postgres.stop(), nats.stop())


def _running(data: Path) -> dict[str, str] | None:
    try:
        running = msgspec.json.decode((data / FILE).read_bytes(), type=_Running)
        # A stack that was killed leaves its file: signal 0 only asks whether the process is there.
        os.kill(running.pid, 0)
    except PermissionError:
        raise FolderUnusable(f"{data} is somebody else's: run this as its owner") from None
    except (OSError, msgspec.MsgspecError):
        return None
    return running.environment


def _settings(environment: Mapping[str, str]) -> BackupSettings:
    return BackupSettings.model_validate(
        {name.removeprefix("SINAL_").lower(): value for name, value in environment.items()}
    )
