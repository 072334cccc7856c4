"""Attack: somebody gets a statement of their own into a tenant's request, and begins it with `reset
role`.

Where the API has the worker's login alone, row-level security is over then. With a login of its own
there is nothing to go back to; and where PostgreSQL binds nobody, the API does not start.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import nats
import psycopg
import pytest

from sinal_cli.embedded.process import Service, free_port
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreRejected
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_hub.store.logins import api_url
from sinal_hub.store.settings import ApiLoginSettings

from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess

SEED = b"insert into tenants (id, name) values ('loja', 'Loja'), ('outra', 'Outra')"
LOGINS = b"""
alter role sinal_worker login;
alter role sinal_api login;
create role halfway login;
grant sinal_worker to halfway with inherit true, set false;
"""


def login(user: str, url: str) -> str:
    """The same database for another login."""
    return urlunsplit(urlsplit(url)._replace(netloc=f"{user}@"))


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """URL of a database with two tenants.

    `halfway` works as the worker, and may not become `sinal_api`.
    """
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(LOGINS)
        connection.execute(SEED)
        yield postgres
        connection.execute("drop owned by halfway; drop role halfway")


async def seen(database: Database, *, attack: bool) -> set[str]:
    """Tenants that a request with a key of `loja` comes to see."""
    async with database.transaction(tenant="loja") as connection:
        if attack:
            await connection.execute("reset role")
        rows = await (await connection.execute("select id from tenants")).fetchall()
    return {row["id"] for row in rows}


async def test_there_is_no_role_to_go_back_to(database: str) -> None:
    of_tenants = await Database.open(login("sinal_api", database))
    async with await Database.open(login("sinal_worker", database), tenants=of_tenants) as opened:
        assert opened.binds_tenants
        assert await seen(opened, attack=False) == await seen(opened, attack=True) == {"loja"}
        with pytest.raises(StoreRejected):
            async with opened.transaction(tenant="loja") as connection:
                await connection.execute("reset role")
                await connection.execute("delete from events")
        async with opened.transaction() as connection:  # the platform's administrator
            assert len(await (await connection.execute("select id from tenants")).fetchall()) == 2


async def test_what_the_workers_login_alone_would_show(database: str) -> None:
    """Why the login is the default where it can be made."""
    async with await Database.open(login("sinal_worker", database)) as opened:
        assert await seen(opened, attack=False) == {"loja"}
        assert await seen(opened, attack=True) == {"loja", "outra"}


@pytest.mark.parametrize(
    ("user", "binds"),
    [("postgres", True), ("sinal_worker", True), ("sinal_api", True), ("halfway", False)],
)
async def test_a_login_says_whether_it_binds(database: str, user: str, binds: bool) -> None:
    async with await Database.open(login(user, database)) as opened:
        assert opened.binds_tenants is binds
        assert await seen(opened, attack=False) == ({"loja"} if binds else {"loja", "outra"})


def environment(
    database: str, nats_server: NatsProcess, folder: Path, **more: str
) -> dict[str, str]:
    keyring = folder / "keyring.json"
    keyring.write_bytes(Keyring.generate().to_json())
    return {
        **os.environ,
        "SINAL_NATS_URL": nats_server.url,
        "SINAL_DATABASE_URL": login("halfway", database),
        "SINAL_KEYRING_FILE": str(keyring),
        "SINAL_ADMIN_KEY": "sak_x",
        "SINAL_PORT": str(free_port()),
        "SINAL_METRICS_PORT": str(free_port()),
        **more,
    }


async def bucket_of_plans(url: str) -> None:
    """What the operator would make."""
    client = await nats.connect(url, connect_timeout=60)
    await client.jetstream().create_key_value(bucket=names.PLANS_BUCKET)
    await client.close()


def test_an_api_that_could_bind_nobody_does_not_start(
    database: str, nats_server: NatsProcess, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "sinal_cli", "run", "api"]
    found: dict[str, Any] = {"env": environment(database, nats_server, tmp_path), "timeout": 120}
    done = subprocess.run(command, text=True, capture_output=True, check=False, **found)
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "sinal_api" in line]
    assert len(told) == 1
    assert "SINAL_API_WITHOUT_ROW_SECURITY" in told[0]
    assert "Traceback" not in done.stderr


def test_it_does_where_somebody_says_so(
    database: str, nats_server: NatsProcess, tmp_path: Path
) -> None:
    asyncio.run(bucket_of_plans(nats_server.url))
    found = environment(database, nats_server, tmp_path, SINAL_API_WITHOUT_ROW_SECURITY="true")
    service = Service(
        "api",
        [sys.executable, "-m", "sinal_cli", "run", "api"],
        log=tmp_path / "api.log",
        env=found,
    )
    service.spawn()
    try:
        port = int(found["SINAL_METRICS_PORT"])
        until(lambda: b"ready" in asked(port), timeout_s=60)
    finally:
        service.kill()


def asked(port: int) -> bytes:
    """What `/readyz` says; nothing while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            said: bytes = answer.read()
            return said
    except urllib.error.HTTPError as error:
        return error.read()
    except OSError:
        return b""


def test_the_password_is_enough() -> None:
    settings = ApiLoginSettings.model_validate(
        {
            "database_url": "postgresql://sinal_worker:w@db.example:6432/sinal?sslmode=require",
            "api_database_password": "p w",
        }
    )
    found = psycopg.conninfo.conninfo_to_dict(str(api_url(settings)))
    assert found.pop("sslmode") == "require"
    assert found == {
        "user": "sinal_api", "password": "p w", "host": "db.example", "port": "6432", "dbname": "sinal",
    }  # fmt: skip
    assert api_url(ApiLoginSettings()) is None


def test_the_page_names_what_the_migrations_grant(postgres: str) -> None:
    """For a database whose owner could not make the role."""
    page = (Path(__file__).parents[2] / "docs" / "operators" / "install.md").read_text(
        encoding="utf-8"
    )
    said = {
        right: set(re.split(r",\s+", tables))
        for right, tables in re.findall(
            r"^grant ([a-z, ]+) on ([a-z_,\s]+) to "
            r"sinal_api;",
            page,
            re.MULTILINE,
        )
    }
    query = (
        "select lower(a.privilege_type), array_agg(c.relname::text) from pg_class c, "
        "aclexplode(relacl) a "
        "where a.grantee = 'sinal_api'::regrole and c.relnamespace = 'public'::regnamespace group "
        "by 1"
    )
    with psycopg.connect(postgres) as connection:
        granted = {right: set(tables) for right, tables in connection.execute(query).fetchall()}
    assert said == granted
