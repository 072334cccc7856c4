"""A platform is backed up while it works, lost, and restored: everything accepted is delivered,
once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import psycopg
import pytest

from sinal_cli.backup import SUFFIX, forget
from sinal_cli.daily import DailyBackup
from sinal_core.nats import Bus
from sinal_core.nats.departures import DepartureBucket
from sinal_crds.departures import Departure, encode
from sinal_crds.names import DEPARTURES_BUCKET
from sinal_hub.backup import queues
from sinal_hub.backup.archive import ArchiveReader, ArchiveWriter, BadArchive
from sinal_operator.provision import desired

from tests.support import load
from tests.support.eventually import PATIENCE_S, eventually
from tests.support.platform import Platform, running

SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"


async def sinal(platform: Platform, *words: str, code: int = 0) -> str:
    """A command over the platform's services, as a Job of the cluster runs it.

    Gives what it says.
    """
    environment = {
        **os.environ,
        "SINAL_NATS_URL": platform.nats.url,
        "SINAL_DATABASE_URL": platform.postgres.url(),
    }
    command = [sys.executable, "-m", "sinal_cli", *words]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


async def sell(platform: Platform, session: aiohttp.ClientSession, prefix: str, count: int) -> None:
    sales = load.hotmart_sales(prefix, count)
    await load.post_until_accepted(session, platform.webhook("loja", "hotmart"), sales)


async def at_meta(platform: Platform, session: aiohttp.ClientSession) -> Counter[tuple[str, str]]:
    """How often each pixel was sent each event."""
    async with session.get(
        f"{platform.sandbox_url}/_sandbox/events", params={"limit": "2000"}
    ) as answer:
        found = (await answer.json())["events"]
    return Counter((event["pixel"], event["event"]["event_id"]) for event in found)


async def until_queued(platform: Platform, events: int) -> None:
    """Until PostgreSQL has so many deliveries that nobody has made."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with await psycopg.AsyncConnection.connect(platform.postgres.url()) as connection:
                row = await (
                    await connection.execute(
                        "select count(*) from capi_events where status = 'pending'"
                    )
                ).fetchone()
            if row is not None and row[0] >= events:
                return
            await asyncio.sleep(0.1)


async def put(platform: Platform, departure: Departure) -> None:
    """As the operator says whose data are to go."""
    bus = await Bus.connect(platform.nats.url, name="test", wait_s=10)
    try:
        await bus.put(DEPARTURES_BUCKET, departure.key, encode(departure))
    finally:
        await bus.close()


async def lose_everything(platform: Platform) -> None:
    """Every process ends, and the disks of PostgreSQL and NATS are gone."""
    await asyncio.gather(*(service.stop() for service in platform.roles.values()))
    await asyncio.gather(platform.postgres.stop(), platform.nats.stop())
    shutil.rmtree(platform.folder / "postgres")
    shutil.rmtree(platform.folder / "nats")
    await asyncio.gather(platform.postgres.start(), platform.nats.start())


async def test_what_was_accepted_before_a_backup_outlives_the_loss_of_everything(
    tmp_path: Path,
) -> None:
    backups = tmp_path / "backups"
    async with (
        running(tmp_path / "platform", [SHOP]) as platform,
        aiohttp.ClientSession() as session,
    ):
        await sell(platform, session, "done", 5)
        await platform.settled(session, accepted=5)
        delivered = await at_meta(platform, session)
        await platform.roles["dispatch"].stop()
        await sell(platform, session, "matched", 5)
        await until_queued(platform, 5)
        await platform.roles["match"].stop()
        await sell(platform, session, "accepted", 5)

        said = await sinal(platform, "backup", str(backups))
        (archive,) = backups.iterdir()
        assert f"{archive}: " in said
        assert "restored and compared" in said
        assert "5 queued events" in said
        assert "keyring" in said
        assert archive.stat().st_mode & 0o077 == 0

        environment = {
            "SINAL_NATS_URL": platform.nats.url,
            "SINAL_DATABASE_URL": platform.postgres.url(),
        }
        daily = DailyBackup(tmp_path / "daily", environment, settle_s=0)
        daily.start()
        await eventually(lambda: any(tmp_path.glob(f"daily/*{SUFFIX}")))
        await daily.stop()

        refused = await sinal(platform, "restore", str(archive), code=1)
        assert "--force" in refused

        await lose_everything(platform)
        said = await sinal(platform, "restore", str(archive))
        assert "restored" in said
        for role in ("operator", "match", "dispatch", "housekeeping", "ingest", "api"):
            platform.start_role(role)
        totals = await platform.settled(session, accepted=15)
        sent = await at_meta(platform, session)
    assert totals["accepted"] == 15
    assert set(sent.values()) == {1}, sent
    assert set(delivered) < set(sent)
    assert len(sent) == 3 * len(delivered)


async def test_a_postgresql_that_is_lost_alone_comes_back_under_queues_that_are_newer(
    tmp_path: Path,
) -> None:
    backups = tmp_path / "backups"
    async with (
        running(tmp_path / "platform", [SHOP]) as platform,
        aiohttp.ClientSession() as session,
    ):
        await sell(platform, session, "done", 5)
        await platform.settled(session, accepted=5)
        await sinal(platform, "backup", str(backups), "--no-check")
        (archive,) = backups.iterdir()
        await platform.roles["dispatch"].stop()
        await sell(platform, session, "matched", 5)
        await until_queued(platform, 5)
        await platform.roles["match"].stop()
        await sell(platform, session, "accepted", 5)

        await asyncio.gather(*(service.stop() for service in platform.roles.values()))
        await platform.postgres.stop()
        shutil.rmtree(platform.folder / "postgres")
        await platform.postgres.start()
        refused = await sinal(platform, "restore", str(archive), code=1)
        assert "holds 10 messages" in refused
        await sinal(platform, "restore", str(archive), "--postgres-only")
        for role in platform.roles:
            platform.start_role(role)
        totals = await platform.settled(session, accepted=10)
        sent = await at_meta(platform, session)
    assert totals["accepted"] == 10
    assert set(sent.values()) == {1}, sent
    assert len(sent) == 10


async def test_whose_data_are_to_go_is_known_after_a_restore(tmp_path: Path) -> None:
    departure = Departure(
        uid="7b1d", slug="gone", namespace="shops", name="gone", at=1_700_000_000_000
    )
    async with running(tmp_path / "platform", [SHOP]) as platform:
        await platform.roles["housekeeping"].stop()  # who would work it off
        await put(platform, departure)
        await sinal(platform, "backup", str(tmp_path / "backups"), "--no-check")
        (archive,) = (tmp_path / "backups").iterdir()
        await lose_everything(platform)
        await sinal(platform, "restore", str(archive))
        bus = await Bus.connect(platform.nats.url, name="test", wait_s=10)
        try:
            assert await DepartureBucket(bus).all() == [departure]
        finally:
            await bus.close()


def test_each_bucket_is_in_a_backup_or_is_made_anew() -> None:
    assert set(queues.BUCKETS) | queues.MADE_ANEW == set(desired.BUCKETS)
    assert not queues.MADE_ANEW.intersection(queues.BUCKETS)


def test_a_damaged_backup_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    path = tmp_path / f"sinal-20261130T000000Z{SUFFIX}"
    with ArchiveWriter(path) as archive, archive.part("postgres/tenants.copy") as part:
        part.write(b"id\n")
    assert list(tmp_path.iterdir()) == []  # it was never finished
    path.write_bytes(b"no archive")
    with pytest.raises(BadArchive, match="not a whole backup"):
        ArchiveReader(path)


def test_the_newest_backups_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    names = [f"sinal-2026113{n}T000000Z{SUFFIX}" for n in range(4)]
    for name in (*names, "mine.txt", f"sinal-old{SUFFIX}"):
        (tmp_path / name).touch()
    assert [path.name for path in forget(tmp_path, 2)] == names[:2]
    assert {path.name for path in tmp_path.iterdir()} == {
        *names[2:],
        "mine.txt",
        f"sinal-old{SUFFIX}",
    }
