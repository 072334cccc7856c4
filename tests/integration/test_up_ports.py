"""Ports of `sinal up`: kept with the folder, never changed without a word, and whoever holds one is
named.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sinal_cli.embedded.process import free_port
from sinal_cli.local import ports
from sinal_cli.local.ports import PortError, Ports


@contextmanager
def listening() -> Iterator[int]:
    """A port that this process holds."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield int(held.getsockname()[1])


def test_a_folder_has_the_ports_again_that_it_had(tmp_path: Path) -> None:
    had = Ports.from_first(free_port(in_a_row=4))
    ports.remember(tmp_path, had)
    assert ports.choose(tmp_path, None) == (had, "")


def test_a_folder_of_a_release_before_gets_one_for_metrics(tmp_path: Path) -> None:
    had = Ports.from_first(free_port(in_a_row=4))
    (tmp_path / "ports.json").write_text(
        f'{{"ingest":{had.ingest},"api":{had.api},"sandbox":{had.sandbox}}}'
    )
    assert ports.choose(tmp_path, None) == (had, "")


def test_nobody_is_kept_out_for_the_port_of_metrics(tmp_path: Path) -> None:
    first = free_port(in_a_row=4)
    with listening() as taken:
        ports.remember(tmp_path, Ports(first, first + 1, first + 2, taken))
        assert ports.choose(tmp_path, None) == (Ports(first, first + 1, first + 2, 0), "")


def test_a_port_the_folder_had_is_not_changed_but_its_holder_named(tmp_path: Path) -> None:
    with listening() as taken:
        ports.remember(tmp_path, Ports(free_port(), taken, free_port()))
        with pytest.raises(
            PortError,
            match=rf"port {taken} is taken by process {os.getpid()} "
            r"\(.+\).*--port",
        ):
            ports.choose(tmp_path, None)


def test_a_new_folder_takes_others_and_says_which_was_taken_and_by_whom(tmp_path: Path) -> None:
    with listening() as taken:
        chosen, note = ports.choose(tmp_path, None, first=taken)
    assert chosen == Ports.from_first(chosen.ingest)
    assert chosen.ingest > taken
    assert f"Port {taken} is taken by process {os.getpid()} " in note


def test_what_is_asked_for_goes_before_what_the_folder_had(tmp_path: Path) -> None:
    ports.remember(tmp_path, Ports.from_first(free_port(in_a_row=4)))
    wanted = free_port(in_a_row=4)
    assert ports.choose(tmp_path, wanted).ports == Ports.from_first(wanted)


def test_a_port_that_is_asked_for_and_taken_is_refused_with_its_holder(tmp_path: Path) -> None:
    with (
        listening() as taken,
        pytest.raises(
            PortError,
            match=rf"port {taken} is taken by process "
            rf"{os.getpid()} ",
        ),
    ):
        ports.choose(tmp_path, taken)


@pytest.mark.parametrize("wanted", [0, -1, 65_533, 99_999])
def test_a_port_out_of_range_is_refused_by_its_option(tmp_path: Path, wanted: int) -> None:
    with pytest.raises(PortError, match=r"--port .* must be 1 to 65532"):
        ports.choose(tmp_path, wanted)


def test_a_port_that_this_user_may_not_have_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as an ordinary user finds it
    monkeypatch.setattr(ports, "_trouble", lambda port: errno.EACCES)
    with pytest.raises(PortError, match="port 80 needs root"):
        ports.choose(tmp_path, 80)


def test_a_file_of_something_else_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"ingest": "eight"}')
    with pytest.raises(PortError, match=r"ports\.json.*remove the file"):
        ports.choose(tmp_path, None)


CHOOSES = """
import sys, pathlib
from sinal_cli.local import ports
print(ports.choose(pathlib.Path(sys.argv[1]), None, first=int(sys.argv[2])).ports.ingest, flush=True)
sys.stdin.read()
"""


def test_of_two_that_choose_at_once_each_has_ports_of_its_own(tmp_path: Path) -> None:
    first = free_port(in_a_row=4)
    command = [sys.executable, "-c", CHOOSES, str(tmp_path), str(first)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:  # type: ignore[call-overload]
        chosen = [int(process.stdout.readline()) for process in (one, other)]
        assert sorted(chosen)[0] == first and len(set(chosen)) == 2
        with pytest.raises(PortError, match=f"port {first} is taken"):
            ports.asked(first)
        for process in (one, other):
            process.stdin.close()
    assert ports.asked(first).ingest == first  # who claimed it has ended
