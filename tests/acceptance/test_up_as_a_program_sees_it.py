"""`sinal up` as another program starts and stops it: the ready file, a second start, two stacks, an
orderly end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
START_S = 60


class Up:
    """A running `sinal up`."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ready_file = folder / "ready.json"
        command = [
            sys.executable,
            "-m",
            "sinal_cli",
            "up",
            "--file",
            str(EXAMPLES),
            "--data",
            str(folder / "data"),
        ]
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--ready-file", str(self._ready_file), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.ready = self._wait()

    def _wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_S
        while not self._ready_file.exists():
            assert self.process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.05)
        found: dict[str, Any] = json.loads(self._ready_file.read_text())
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Seconds until it had ended; fails when it did not end well."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(timeout=60)
        assert status == 0, self._output.read_text()
        return time.monotonic() - began

    def visit(self) -> str:
        """Post a page view; its id."""
        keys = self.ready["tenants"]["loja"]["funnels"]["curso"]
        answer = httpx.post(
            f"{self.ready['ingest']}/t/loja/api/v1/track/pageview",
            headers={"Authorization": f"Bearer {keys['server_key']}"},
            json={
                "funnel": keys["public_key"],
                "url": "https://loja.example/?fbclid=IwAR0test",
                "client": {"ip": "177.10.20.30", "user_agent": "Mozilla/5.0 (test)"},
            },
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["events"][0]["id"])

    def outcome(self, event_id: str) -> str:
        """How the event ended."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = httpx.get(
                f"{self.ready['api']}/api/v1/events/{event_id}",
                headers={"Authorization": f"Bearer {self.ready['admin_key']}"},
                timeout=60,
            )
            if answer.status_code == 200 and answer.json()["outcome"]["state"] != "in_flight":
                return str(answer.json()["outcome"]["state"])
            time.sleep(0.05)
        return "none"


@contextlib.contextmanager
def up(folder: Path, *options: str) -> Iterator[Up]:
    stack = Up(folder, *options)
    try:
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop()


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in command and str(os.getpid()) != entry.name:
                found.append(command)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_whole_within_ten_seconds_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    with up(tmp_path) as stack:
        assert stack.outcome(stack.visit()) == "delivered"
        assert processes_of(tmp_path / "data") != []
        assert stack.stop(number) < 10
    assert processes_of(tmp_path / "data") == []


def test_what_it_writes_is_its_owners_alone(tmp_path: Path) -> None:
    with up(tmp_path) as stack:
        assert stack.outcome(stack.visit()) == "delivered"
        files = [
            tmp_path / "data",
            *(tmp_path / "data").iterdir(),
            *(tmp_path / "data" / "logs").iterdir(),
        ]
        assert [str(file) for file in files if file.stat().st_mode & 0o077] == []
        assert {"env", "ready.json", "status.json", "sandbox.jsonl", "ports.json"} <= {
            file.name for file in files
        }


def test_a_killed_stack_leaves_no_process_and_the_next_start_has_its_data(tmp_path: Path) -> None:
    with up(tmp_path) as stack:
        event = stack.visit()
        assert stack.outcome(event) == "delivered"
        stack.process.kill()
        stack.process.wait()
    deadline = time.monotonic() + 60
    while processes_of(tmp_path / "data") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(tmp_path / "data") == []
    (tmp_path / "ready.json").unlink()
    with up(tmp_path) as again:
        assert again.outcome(event) == "delivered"
        assert again.ready["admin_key"] == stack.ready["admin_key"]
        # webhook URLs, with their port, as well
        assert again.ready["tenants"] == stack.ready["tenants"]


@pytest.mark.parametrize("word", ["up", "demo"])
def test_ctrl_c_while_it_starts_is_no_error(tmp_path: Path, word: str) -> None:
    data = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-m", "sinal_cli", word, "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + START_S
        while not (data / "postgres").exists():  # its making is what takes time
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        said, _ = process.communicate(timeout=60)
    assert "stopped" in said
    assert not [
        line
        for line in said.splitlines()
        if "Traceback" in line or "failed" in line or "Error" in line
    ], said
    assert processes_of(data) == []


def test_two_stacks_run_side_by_side_and_do_not_share_events(tmp_path: Path) -> None:
    with up(tmp_path / "one") as one, up(tmp_path / "two") as two:
        assert one.ready["ingest"] != two.ready["ingest"]
        event = one.visit()
        assert one.outcome(event) == "delivered"
        answer = httpx.get(
            f"{two.ready['api']}/api/v1/events/{event}",
            headers={"Authorization": f"Bearer {two.ready['admin_key']}"},
            timeout=60,
        )
        assert answer.status_code == 404


def test_a_folder_in_use_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with up(tmp_path):
        second = subprocess.run(
            [sys.executable, "-m", "sinal_cli", "up", "--data", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert second.returncode == 1
        assert "--data" in second.stderr


def test_broken_manifests_stop_the_start_with_file_line_and_field(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        "apiVersion: sinal.dev/v1alpha1\nkind: Tenant\nmetadata: {name: loja}\nspec: {slag: x}\n"
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "sinal_cli",
            "up",
            "--file",
            str(broken),
            "--data",
            str(tmp_path / "data"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 1
    assert f"{broken}:4" in result.stderr
    assert "slug" in result.stderr
    assert processes_of(tmp_path / "data") == []


def sinal(*words: str | Path, code: int = 0) -> str:
    """A command as a person types it; what it says."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SINAL_")
    }
    command = [sys.executable, "-m", "sinal_cli", *map(str, words)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "[info" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_backup_made_beside_it_is_restored_into_another_folder(tmp_path: Path) -> None:
    old, new, backups = tmp_path / "old", tmp_path / "new", tmp_path / "backups"
    with up(old) as stack:
        event, hooks = stack.visit(), stack.ready["tenants"]["loja"]["webhooks"]
        assert stack.outcome(event) == "delivered"
        assert "restored and compared" in sinal("backup", backups, "--data", old / "data")
        (archive,) = backups.iterdir()
        assert "is in use by another stack" in sinal(
            "restore", archive, "--data", old / "data", code=1
        )
        assert "good" in sinal("restore", archive, "--check", "--data", old / "data")
    assert "--force" in sinal("restore", archive, "--data", old / "data", code=1)
    said = sinal("restore", archive, "--data", new / "data")
    assert f"the keyring of the same stack to {new / 'data' / 'keyring.json'}" in said
    (new / "data" / "keyring.json").write_bytes((old / "data" / "keyring.json").read_bytes())
    with up(new) as stack:
        assert stack.outcome(event) == "delivered"
        again = stack.ready["tenants"]["loja"]["webhooks"]
    assert [hook["url"].rsplit("/", 1)[1] for hook in again.values()] == [
        hook["url"].rsplit("/", 1)[1] for hook in hooks.values()
    ]


def test_a_backup_of_a_folder_that_is_no_stack_s_makes_nothing(tmp_path: Path) -> None:
    assert "is not a data folder" in sinal(
        "backup", tmp_path / "backups", "--data", tmp_path / "nowhere", code=1
    )
    assert not (tmp_path / "nowhere").exists()
