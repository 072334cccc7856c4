"""TLS with an authority of one's own to NATS, PostgreSQL and Redis: the right one works, a wrong
one says so.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from sinal_cli.embedded.redis import Redis as RedisServer
from sinal_core import limiter
from sinal_core.nats import Bus
from sinal_core.nats.settings import NatsSettings
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreUnavailable
from sinal_core.redis_settings import RedisSettings
from sinal_operator.provision import Connection

from tests.support.eventually import eventually
from tests.support.nats_process import NatsProcess
from tests.support.tls import Authority, authority, ending


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The authority of the services."""
    return authority(tmp_path / "ours")


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    """One that signed nothing of ours."""
    return authority(tmp_path / "other")


@pytest.fixture
def nats_tls(tmp_path: Path, ours: Authority) -> Iterator[NatsProcess]:
    """A nats-server that takes nobody without TLS."""
    config = tmp_path / "tls.conf"
    files = {"cert_file": str(ours.certificate), "key_file": str(ours.key)}
    config.write_text(f"tls: {json.dumps(files)}\n")
    server = NatsProcess(tmp_path / "nats", config=config)
    server.start()
    yield server
    server.kill()


async def test_nats_with_the_right_authority(nats_tls: NatsProcess, ours: Authority) -> None:
    settings = NatsSettings(
        nats_url=nats_tls.url.replace("nats://", "tls://"), nats_ca_file=ours.ca
    )
    bus = await Bus.connect(settings.nats_url, name="test", authority=settings.nats_authority)
    assert b"account_info_response" in await bus.api("INFO")
    await bus.close()
    operators = Connection()
    await operators.connect(settings.nats_url, tls=settings.nats_authority)
    await operators.flush()
    await operators.close()


async def test_nats_with_a_wrong_authority_is_refused_and_says_so(
    nats_tls: NatsProcess, other: Authority
) -> None:
    settings = NatsSettings(nats_url=nats_tls.url, nats_ca_file=other.ca)
    with capture_logs() as logs:
        bus = await Bus.connect(
            settings.nats_url, name="test", authority=settings.nats_authority, wait_s=0.0
        )
        await eventually(
            lambda: any("certificate is refused" in entry.get("error", "") for entry in logs)
        )
        assert not bus.connected
        await bus.close()


async def test_nothing_is_said_to_a_nats_that_offers_no_tls(ours: Authority) -> None:
    """nats-py would go on in the clear, with its password."""
    heard = bytearray()
    closed = asyncio.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"server_id":"x","version":"2.12.0","auth_required":true,"max_payload":1048576}\r\n'
        )
        heard.extend(await reader.read(1 << 16))
        writer.close()
        closed.set()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = NatsSettings(nats_url=f"tls://sinal:secret@127.0.0.1:{port}", nats_ca_file=ours.ca)
    with capture_logs() as logs:
        bus = await Bus.connect(
            settings.nats_url, name="test", authority=settings.nats_authority, wait_s=0.0
        )
        await eventually(lambda: any("offers no TLS" in entry.get("error", "") for entry in logs))
        await bus.close()
    server.close()
    await closed.wait()
    assert heard == b""


@pytest.fixture
async def postgres_tls(postgres: str, ours: Authority) -> AsyncIterator[str]:
    """URL of a PostgreSQL behind TLS, without a word on certificates."""
    database, _, home = postgres.partition("?host=")
    async with ending(ours.server(), to=f"{home}/.s.PGSQL.5432", postgres=True) as port:
        yield f"{database.replace('@/', f'@127.0.0.1:{port}/')}"


@pytest.mark.parametrize("way", ["variables", "url"])
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
async def test_postgresql_by_variables_and_by_its_url(
    postgres_tls: str,
    ours: Authority,
    other: Authority,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    right: bool,
) -> None:
    ca = str((ours if right else other).ca)
    url = postgres_tls
    if way == "url":
        url += f"?sslmode=verify-full&sslrootcert={ca}"
    else:
        monkeypatch.setenv("PGSSLMODE", "verify-full")
        monkeypatch.setenv("PGSSLROOTCERT", ca)
    if right:
        async with await Database.open(url) as database:
            assert await database.ping()
        return
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        await Database.open(url, open_s=0.5)


async def test_a_postgresql_that_is_not_there_is_named() -> None:
    """The pool alone would say PoolTimeout, whatever the reason."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(
            StoreUnavailable, match=f"port {port} failed: Connection refused"
        ) as raised:
            await Database.open(f"postgresql://sinal:geheim@127.0.0.1:{port}/sinal", open_s=0.5)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
async def test_redis(tmp_path: Path, ours: Authority, other: Authority, right: bool) -> None:
    server = RedisServer(tmp_path / "redis", password="test", log=tmp_path / "redis.log")
    await server.start()
    async with ending(ours.server(), to=server.port) as port:
        ca = (ours if right else other).ca
        settings = RedisSettings(redis_url=f"rediss://:test@127.0.0.1:{port}/0", redis_ca_file=ca)
        limits = limiter.connect(settings.redis, clock=time, timeout_s=20.0)
        with capture_logs() as logs:
            # by itself, where Redis is not to be had
            assert await limits.take("loja:events", 1, per_minute=60) == 0
        await limits.close()
    await server.stop()
    said = [entry["error"] for entry in logs if entry["event"] == "limiter.local"]
    assert (said == []) if right else ("certificate is refused" in said[0])


def test_settings_that_would_protect_nobody_are_refused(tmp_path: Path, ours: Authority) -> None:
    with pytest.raises(ValidationError, match="redis_url doesn't begin with rediss://"):
        RedisSettings(redis_url="redis://cache:6379/0", redis_ca_file=ours.ca)
    empty = tmp_path / "empty.crt"
    empty.write_text("no certificate\n")
    with pytest.raises(ValidationError, match="holds no certificate in PEM"):
        NatsSettings(nats_ca_file=empty)
    with pytest.raises(ValidationError, match="holds no certificate in PEM"):
        NatsSettings(nats_ca_file=tmp_path / "missing.crt")
