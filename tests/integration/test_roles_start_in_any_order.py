"""Pods start in no order: a role that comes before the database's tables waits, and can be ended
meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import nats
import pytest

from sinal_cli.embedded.process import Service, free_port
from sinal_crds import names
from sinal_crds.keyring import Keyring

from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess

WORKER = "s3cret of the worker's"


def _as(user: str, password: str, url: str) -> str:
    """The same database for another login."""
    return urlunsplit(urlsplit(url)._replace(netloc=f"{user}:{quote(password)}@"))


async def _bucket_of_plans(url: str) -> None:
    """What the operator would make."""
    client = await nats.connect(url, connect_timeout=60)
    await client.jetstream().create_key_value(bucket=names.PLANS_BUCKET)
    await client.close()


@pytest.fixture
def environment(empty_postgres: str, nats_server: NatsProcess, tmp_path: Path) -> dict[str, str]:
    asyncio.run(_bucket_of_plans(nats_server.url))
    keyring = tmp_path / "keyring.json"
    keyring.write_bytes(Keyring.generate().to_json())
    return {
        **os.environ,
        "SINAL_NATS_URL": nats_server.url,
        "SINAL_KEYRING_FILE": str(keyring),
        "SINAL_DATABASE_URL": _as("sinal_worker", WORKER, empty_postgres),
        "SINAL_MAINTENANCE_DATABASE_URL": empty_postgres,
        "SINAL_PORT": str(free_port()),
    }


@pytest.fixture(params=["match", "dispatch", "housekeeping"])
def role(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[Service]:
    command = [sys.executable, "-m", "sinal_cli", "run", request.param]
    service = Service(request.param, command, log=tmp_path / "role.log", env=environment)
    service.spawn()
    yield service
    service.kill()


def _ask(environment: dict[str, str], path: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{environment['SINAL_PORT']}{path}", timeout=60
        ) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, {}


def _sinal(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sinal_cli", *words]
    return subprocess.run(
        command, env=environment, text=True, capture_output=True, check=False, timeout=90
    )


def test_a_role_waits_for_its_tables_and_works_when_they_come(
    environment: dict[str, str], role: Service
) -> None:
    until(lambda: _ask(environment, "/healthz")[0] == 200, timeout_s=120)
    assert _ask(environment, "/readyz") == (503, {"status": "not ready", "started": False})

    done = _sinal(environment, "migrate", "--logins")
    assert done.returncode == 0, done.stderr
    assert "sinal_worker may log in" in done.stdout
    assert WORKER not in done.stdout + done.stderr

    until(lambda: _ask(environment, "/readyz")[0] == 200, timeout_s=60)
    assert _ask(environment, "/readyz")[1] == {"status": "ready", "nats": True, "postgres": True}


async def test_a_role_that_waits_can_be_ended(environment: dict[str, str], role: Service) -> None:
    until(lambda: "role.waiting" in role.tail(100), timeout_s=120)
    await role.stop()  # SIGTERM, and SIGKILL after its grace
    assert "role.stopped" in role.tail(100)


def test_migrating_waits_for_a_server_that_comes_later(environment: dict[str, str]) -> None:
    nobody = f"postgresql://sinal:pw@127.0.0.1:{free_port()}/sinal"
    done = _sinal(
        {**environment, "SINAL_MAINTENANCE_DATABASE_URL": nobody}, "migrate", "--wait", "2"
    )
    assert done.returncode == 1
    assert "no PostgreSQL for sinal at 127.0.0.1" in done.stderr and "Traceback" not in done.stderr


def test_a_login_that_nobody_made_is_named(
    environment: dict[str, str], empty_postgres: str
) -> None:
    stranger = {**environment, "SINAL_DATABASE_URL": _as("nobody_knows", "pw", empty_postgres)}
    done = _sinal(stranger, "migrate", "--logins")
    assert done.returncode == 1
    assert "there is no role nobody_knows" in done.stderr
