"""What a test leaves behind fails that test by name, and no other: shown by a run of tests that
leave something.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOPPY = """
import asyncio, socket, subprocess, threading
import pytest, structlog

kept = []

def listener():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_port(): listener()
def test_nothing(): pass
def test_logs(): structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())
async def test_task(): kept.append(asyncio.create_task(asyncio.sleep(600), name="forgotten"))

def test_process():
    kept.append(subprocess.Popen(["sh", "-c", "echo runs; exec sleep 600"], stdout=subprocess.PIPE))
    kept[-1].stdout.readline()

def test_file(tmp_path): kept.append((tmp_path / "x").open("w"))

def test_thread():
    kept.append(threading.Event())
    threading.Thread(target=kept[-1].wait, name="forgotten").start()

async def test_connection():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    kept.append(writer)
    await reader.read()
    server.close()
    await server.wait_closed()

def test_that_fails():
    listener()
    raise AssertionError("its own")

@pytest.fixture(scope="module")
def shared():
    yield listener()
    kept.pop().close()

def test_first_user(shared): pass
def test_last_user(shared): pass

@pytest.fixture(scope="session", autouse=True)
def end():
    yield
    for one in kept:
        if isinstance(one, threading.Event):
            one.set()
        elif isinstance(one, subprocess.Popen):
            one.kill()
            one.wait()
"""
LEFT = {
    "test_port": r"socket \d+: listening on \('127\.0\.0\.1', \d+\)",
    "test_logs": r"log level 30: \w+ of LoggerFactory",
    "test_task": r"<Task pending name='forgotten'",
    "test_process": r"process \d+: .*sleep 600",
    "test_file": r"descriptor \d+: .*/x",
    "test_thread": r"thread \d+: forgotten",
    "test_connection": r"socket \d+: \('127\.0\.0\.1', \d+\) connected with|socket \d+: .* not "
    r"connected",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the sloppy tests."""
    file = tmp_path_factory.mktemp("sloppy") / "test_sloppy.py"
    file.write_text(SLOPPY)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.leftover_hooks",
        "-p",
        "no:cacheprovider",
        "-rA",
    ]
    options = [
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-c",
        "/dev/null",
    ]
    done = subprocess.run(
        [*command, *options, str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_each_is_named_and_blamed(told: str) -> None:
    blamed = set(re.findall(r"^ERROR .*::(\w+)", told, re.M))
    assert blamed == LEFT.keys(), told
    for name, what in LEFT.items():
        [section] = re.findall(
            rf"ERROR at teardown of {name} "
            rf"_+\n(.*?)\n_{{3}}",
            told + "\n___",
            re.S,
        )
        assert re.search(f"left behind: .*(?:{what})", section, re.S), section


def test_a_failure_comes_first_and_tells_what_it_left(told: str) -> None:
    assert re.findall(r"^FAILED .*::(\w+)", told, re.M) == ["test_that_fails"]
    assert re.search(r"left behind teardown -+\nsocket \d+: listening", told)


def test_what_fixtures_share_is_theirs(told: str) -> None:
    passed = set(re.findall(r"^PASSED .*::(\w+)", told, re.M))
    assert {"test_nothing", "test_first_user", "test_last_user"} <= passed
