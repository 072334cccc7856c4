"""A role is process 1 of its container, to which no signal comes that it has no handler for: it
ends all the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinal_cli.embedded.process import free_port
from sinal_crds.keyring import Keyring

from tests.cluster.support.waiting import until

OWN_NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]
ENDED_BY_SIGTERM = 143
PATIENCE_S = 60  # of a loaded machine; a pod's grace would be over by then
SLOW_IMPORT = (
    "import os, pathlib, time\npathlib.Path(os.environ['IMPORTING']).touch()\ntime.sleep(600)\n"
)


def _namespaces() -> list[str]:
    """How a process becomes number 1 here; skips where nobody may."""
    for command in (OWN_NAMESPACE, [*OWN_NAMESPACE, "--user", "--map-root-user"]):
        try:
            if (
                subprocess.run(
                    [*command, "true"], capture_output=True, check=False, timeout=30
                ).returncode
                == 0
            ):
                return command
        except FileNotFoundError:
            break
    pytest.skip("no PID namespace may be made here: util-linux and the right to use it are missing")


class First:
    """`sinal WORDS` as process 1 of a namespace of its own."""

    def __init__(self, words: list[str], *, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            command = [*_namespaces(), sys.executable, "-m", "sinal_cli", *words]
            self._outside = subprocess.Popen(
                command, env=environment, stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        """Its log."""
        return self._log.read_text(errors="replace")

    def end(self) -> int:
        """SIGTERM from outside of its namespace, as a kubelet's.

        Its status, which unshare tells.
        """
        subprocess.run(["kill", "-TERM", self._inside()], check=True)
        return self._outside.wait(PATIENCE_S)

    def kill(self) -> None:
        """It is gone, and its namespace with it."""
        self._outside.kill()
        self._outside.wait()

    def _inside(self) -> str:
        pid = self._outside.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keyring = tmp_path / "keyring.json"
    keyring.write_bytes(Keyring.generate().to_json())
    return {
        **os.environ,
        "SINAL_KEYRING_FILE": str(keyring),
        "SINAL_NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "SINAL_DATABASE_URL": f"postgresql://sinal:pw@127.0.0.1:{free_port()}/sinal",
        "SINAL_PORT": str(free_port()),
    }


@pytest.fixture
def importing(environment: dict[str, str], tmp_path: Path) -> Iterator[First]:
    """A role in the middle of its first import, which is not over before the test is."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "nats.py").write_text(SLOW_IMPORT)
    marker = tmp_path / "importing"
    first = First(
        ["run", "match"],
        environment={**environment, "PYTHONPATH": str(tmp_path / "slow"), "IMPORTING": str(marker)},
        log=tmp_path / "role.log",
    )
    try:
        until(marker.exists, timeout_s=PATIENCE_S)
        yield first
    finally:
        first.kill()


def test_a_role_that_waits_for_what_it_needs_ends_in_order(
    environment: dict[str, str], tmp_path: Path
) -> None:
    first = First(["run", "match"], environment=environment, log=tmp_path / "role.log")
    try:
        until(lambda: "role.waiting" in first.said, timeout_s=PATIENCE_S)
        assert first.end() == 0, first.said
        assert "role.stopped" in first.said
    finally:
        first.kill()


def test_a_role_that_is_still_importing_ends_at_once(importing: First) -> None:
    assert importing.end() == ENDED_BY_SIGTERM, importing.said


def test_another_process_than_the_first_is_left_to_the_kernel() -> None:
    look = (
        "import signal; from sinal_cli import pid1 as one; one.can_be_ended(); "
        "print(signal.getsignal(15).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.strip() == "SIG_DFL"


def test_it_is_heard_before_anything_heavy_is_imported() -> None:
    """Where no namespace may be made, the order still shows."""
    look = (
        "import os, signal, sys\n"
        "os.getpid = lambda: 1\n"
        "from sinal_cli import pid1\n"
        "def told(number, handler, set_signal=signal.signal):\n"
        "    print(number.name, sorted({'asyncio', 'cyclopts', 'nats', 'pydantic'} & "
        "sys.modules.keys()))\n"
        "    set_signal(number, handler)\n"
        "signal.signal = told\n"
        "sys.argv = ['sinal', '--version']\n"
        "from sinal_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.splitlines()[0] == "SIGTERM []"
