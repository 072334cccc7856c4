"""A port-forward is a child of one command: it is waited for, listened to, and gone afterwards,
whatever happened.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sinal_cli.kubectl.forward import ForwardFailed, forwarded

# Says what kubectl says, in kubectl's place: a port that it listens on, and a line for every
# connection.
STANDIN = """
import os, pathlib, signal, socket, sys
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
print(f"Forwarding from 127.0.0.1:{port} -> 8080", flush=True)
while True:
    connection, _ = listener.accept()
    print(f"Handling connection for {port}" + "." * 4000, flush=True)
    connection.sendall(b"hello")
    connection.close()
"""


def standin(tmp_path: Path, *words: str) -> tuple[list[str], Path]:
    """The command, and the file where it leaves its process id."""
    script, pid = tmp_path / "standin.py", tmp_path / "pid"
    script.write_text(STANDIN)
    return [sys.executable, str(script), str(pid), *words], pid


def alive(pid: Path) -> bool:
    try:
        os.kill(int(pid.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: Path) -> bool:
    deadline = time.monotonic() + 60
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_it_lasts_as_long_as_the_block_and_its_chatter_blocks_nobody(tmp_path: Path) -> None:
    command, pid = standin(tmp_path)
    with forwarded(command) as port:
        for _ in range(40):  # more than a pipe holds
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                assert connection.recv(5) == b"hello"
        assert alive(pid)
    assert gone(pid)


def test_an_error_in_the_block_ends_it(tmp_path: Path) -> None:
    command, pid = standin(tmp_path)
    with pytest.raises(KeyError), forwarded(command):
        raise KeyError
    assert gone(pid)


def test_one_that_does_not_want_to_end_is_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinal_cli.kubectl.forward.END_S", 0.2)
    command, pid = standin(tmp_path, "stubborn")
    with forwarded(command):
        pass
    assert gone(pid)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_does_not_outlive_a_command_that_was_stopped(
    tmp_path: Path, how: signal.Signals
) -> None:
    command, pid = standin(tmp_path)
    code = (
        "import signal, sys, time; from sinal_cli.kubectl.forward import forwarded\n"
        # As at a terminal: what a shell starts in the background, such as a whole CI run, is born
        # deaf to SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with forwarded(sys.argv[1:]) as port: print(port, flush=True); time.sleep(60)"
    )
    outer = subprocess.Popen(
        [sys.executable, "-c", code, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert outer.stdout is not None
    with outer:
        assert int(outer.stdout.readline()) > 0
        assert alive(pid)
        outer.send_signal(how)
        outer.wait(timeout=60)
    assert gone(pid)


def test_what_kubectl_says_instead_is_told() -> None:
    refusing = [
        sys.executable,
        "-c",
        "import sys; sys.exit('error: services \"sinal-api\" not found')",
    ]
    with pytest.raises(ForwardFailed, match="not found"), forwarded(refusing):
        pass


def test_one_that_says_nothing_is_not_waited_for_long(tmp_path: Path) -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(ForwardFailed, match="nothing"), forwarded(silent, wait_s=0.5):
        pass
