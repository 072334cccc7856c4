"""A metrics adapter that ends is still led to for a while: it says that it leaves, and answers all
the same.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinal_cli.embedded.process import Service, free_port

from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess

DRAIN_S = 10  # a busy machine has answered once by then
GONE = 0  # nobody listens


class Adapter:
    """The adapter without an API server."""

    def __init__(self, nats_url: str, log: Path) -> None:
        self._port = free_port()
        environment = {
            **os.environ,
            "SINAL_NATS_URL": nats_url,
            "SINAL_PORT": str(self._port),
            "SINAL_ADAPTER_EXTERNAL_METRICS": "false",
            "SINAL_DRAIN_S": str(DRAIN_S),
        }
        command = [sys.executable, "-m", "sinal_cli", "run", "metrics-adapter"]
        self.process = Service("metrics-adapter", command, log=log, env=environment)

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}{path}", timeout=60
            ) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except OSError:
            return GONE, {}


@pytest.fixture
def adapter(nats_server: NatsProcess, tmp_path: Path) -> Iterator[Adapter]:
    found = Adapter(nats_server.url, tmp_path / "adapter.log")
    found.process.spawn()
    yield found
    found.process.kill()


def test_it_is_unready_at_once_and_answers_until_it_has_drained(adapter: Adapter) -> None:
    until(lambda: adapter.ask("/readyz")[0] == 200)
    os.kill(adapter.process.pid, signal.SIGTERM)
    ended = time.monotonic()
    until(lambda: adapter.ask("/readyz")[0] == 503)
    assert adapter.ask("/readyz")[1]["status"] == "draining"
    assert adapter.ask("/depth/match")[0] == 200
    while (told := adapter.ask("/readyz")[0]) != GONE:
        assert told == 503
        time.sleep(0.1)
    assert time.monotonic() - ended >= DRAIN_S
    until(lambda: not adapter.process.running)
