"""An operations API that ends is still led to for a while: unready at once, streams ended whole,
requests finished.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import nats
import psycopg
import pytest

from sinal_cli.embedded.process import Service, free_port
from sinal_crds import names
from sinal_crds.keyring import Keyring

from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess

DRAIN_S = 10  # a busy machine has answered once by then
KEY = "sak_for_tests"
GONE = (0, "")  # nobody listens


class Api:
    """The role as a process."""

    def __init__(self, postgres: str, nats_url: str, folder: Path) -> None:
        (folder / "keyring.json").write_bytes(Keyring.generate().to_json())
        self.url, self.probes = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        environment = {
            **os.environ,
            "SINAL_NATS_URL": nats_url,
            "SINAL_DATABASE_URL": postgres,
            "SINAL_KEYRING_FILE": str(folder / "keyring.json"),
            "SINAL_ADMIN_KEY": KEY,
            "SINAL_PORT": self.url.rpartition(":")[2],
            "SINAL_METRICS_PORT": self.probes.rpartition(":")[2],
            "SINAL_DRAIN_S": str(DRAIN_S),
        }
        command = [sys.executable, "-m", "sinal_cli", "run", "api"]
        self.process = Service("api", command, log=folder / "api.log", env=environment)
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        )

    def ready(self) -> tuple[int, str]:
        """What probes are told; 0 when nobody listens."""
        try:
            answer = self.client.get(f"{self.probes}/readyz")
        except httpx.HTTPError:
            return GONE
        return answer.status_code, answer.json()["status"]

    def told(self) -> set[tuple[int, str]]:
        """All that probes are told until nobody listens."""
        told = set()
        while (found := self.ready()) != GONE:
            told.add(found)
            time.sleep(0.1)
        return told

    def leave(self) -> float:
        """SIGTERM; when it was."""
        os.kill(self.process.pid, signal.SIGTERM)
        return time.monotonic()

    def stream(self) -> list[str]:
        """Every line of a stream until it ends; an error where it is cut."""
        with self.client.stream("GET", "/api/v1/events/stream") as answer:
            assert answer.status_code == 200
            return list(answer.iter_lines())


async def _bucket_of_plans(url: str) -> None:
    """What the operator would make."""
    client = await nats.connect(url, connect_timeout=60)
    await client.jetstream().create_key_value(bucket=names.PLANS_BUCKET)
    await client.close()


@pytest.fixture
async def api(postgres: str, nats_server: NatsProcess, tmp_path: Path) -> AsyncIterator[Api]:
    await _bucket_of_plans(nats_server.url)
    found = Api(postgres, nats_server.url, tmp_path)
    found.process.spawn()
    await asyncio.to_thread(until, lambda: found.ready() == (200, "ready"))
    yield found
    found.process.kill()
    found.client.close()


def test_it_is_unready_at_once_and_answers_until_it_has_drained(api: Api) -> None:
    with ThreadPoolExecutor(1) as pool:
        lines = pool.submit(api.stream)
        left = api.leave()
        until(lambda: api.ready() == (503, "draining"))
        assert api.client.get("/api/v1/ledger").status_code == 200
        assert not lines.done()
        told = api.told()
        assert time.monotonic() - left >= DRAIN_S
        assert told <= {(503, "draining")}
        assert lines.result(60)[0] == "retry: 2000"
    until(lambda: not api.process.running)
    assert "role.stopped" in api.process.tail(20)


def test_a_request_under_way_is_finished(api: Api, postgres: str) -> None:
    with psycopg.connect(postgres) as connection, ThreadPoolExecutor(2) as pool:
        connection.execute("lock table events in access exclusive mode")
        slow, lines = pool.submit(api.client.get, "/api/v1/ledger"), pool.submit(api.stream)
        until(lambda: _waits(postgres))
        api.leave()
        lines.result(60)  # the drain is over, it listens no more
        connection.rollback()
        assert slow.result(60).status_code == 200


def _waits(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
        ).fetchone()
    return found is not None
