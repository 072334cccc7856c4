"""Attack: who may list processes of a node reads the evaluation Redis' password.

Before, it stood in its arguments.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

from sinal_cli.embedded.process import free_port
from sinal_cli.embedded.redis import program

PASSWORD = "correct-horse_Battery"
VALUES = Path(__file__).parents[2] / "charts" / "sinal" / "values.yaml"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Process and port of Redis, started as the chart starts it."""
    values = yaml.safe_load(VALUES.read_text())["evaluation"]["redis"]
    (tmp_path / "redis-server").symlink_to(program() or "")
    port = free_port()
    args = [
        one.replace("redis-server -", f"redis-server - --port {port}") for one in values["args"]
    ]
    sh = shutil.which(values["command"][0])
    assert sh is not None
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [sh, *values["command"][1:], *args],
        env={"PATH": path, "REDIS_PASSWORD": PASSWORD},
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    yield process.pid, port
    process.terminate()
    assert process.wait(60) == 0, "the signal reaches Redis itself"


def test_the_password_is_asked_for_and_stands_in_no_argument(served: tuple[int, int]) -> None:
    pid, port = served
    deadline = time.monotonic() + 60
    with redis.Redis(port=port, password=PASSWORD) as client:
        while True:
            try:
                assert client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "Redis does not answer"
                time.sleep(0.02)
        assert client.config_get("save") == {"save": ""} or client.config_get("save") == {
            b"save": b""
        }
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"redis-server" in arguments or b"valkey" in arguments
    assert PASSWORD.encode() not in arguments
