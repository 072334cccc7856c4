"""Fixtures of a real nats-server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nats_process import NatsProcess


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsProcess]:
    """A running nats-server with JetStream and a data folder of its own."""
    server = NatsProcess(tmp_path / "nats")
    server.start()
    try:
        yield server
    finally:
        server.kill()
