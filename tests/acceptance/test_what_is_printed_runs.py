"""Each command of the README and of the tour, and each that `make up` prints, runs as it stands
when it is pasted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pasting import Block, Pasted, Reader, complaints, of_page, of_terminal

ROOT = Path(__file__).parents[2]
START_S = 120
# Blocks that are not pasted here, by their first line, and why. Each must be in a page.
ELSEWHERE = {
    "README.md": {"make demo": "test_the_demo.py runs the demo; make test would run this test"},
    "tour.md": {"make up": "the fixture runs what `make up` runs"},
}


class Terminal:
    """A first terminal in which `make up` runs, in a folder with what a checkout has that the pages
    speak of.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples", folder / "examples")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SINAL_")},
            "COLUMNS": "80",
        }
        self._said = folder / "terminal.txt"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sinal_cli", "up", "--file", "examples", "--data", ".sinal"],
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that it printed."""
        return self._said.read_text()

    def wait(self) -> None:
        """Return when it is up and has printed how to use it."""
        deadline = time.monotonic() + START_S
        while (
            not (self.folder / ".sinal" / "ready.json").exists()
            or "sinal events list" not in self.said
        ):
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def stop(self) -> None:
        """Ctrl-C."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Terminal]:
    terminal = Terminal(folder)
    try:
        terminal.wait()
        yield terminal
    finally:
        terminal.stop()


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A running stack for all pages, as a reader has one."""
    with running(tmp_path_factory.mktemp("checkout")) as found:
        yield found


def read(terminal: Terminal, tools: Path, blocks: list[Block]) -> list[Pasted]:
    """Paste them one after the other, in one shell."""
    reader = Reader(terminal.folder, tools, environment=terminal.environment)
    return [reader.paste(block) for block in blocks]


def test_make_up_is_what_runs_here() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    target = next(number for number, line in enumerate(lines) if line.startswith("up: "))
    assert lines[target + 1].split()[1:6] == ["up", "--file", "examples", "--data", "$(DATA)"]
    assert "DATA ?= .sinal" in lines


def test_all_that_make_up_prints(terminal: Terminal, tmp_path: Path) -> None:
    blocks = of_terminal("make up", terminal.said)
    pasted = read(terminal, tmp_path, blocks)
    assert complaints(pasted) == []
    assert {status for one in pasted for status in one.statuses} == {202}, terminal.said


@pytest.mark.parametrize("page", ["README.md", "docs/users/tour.md"])
def test_each_block_of_a_page(terminal: Terminal, tmp_path: Path, page: str) -> None:
    blocks = of_page(ROOT / page)
    elsewhere = ELSEWHERE[Path(page).name]
    firsts = {block.commands.split("\n")[0].partition("#")[0].strip(): block for block in blocks}
    assert elsewhere.keys() <= firsts.keys(), "a reason for a block that is not there"
    left_out = [firsts[first] for first in elsewhere]
    pasted = read(terminal, tmp_path, [block for block in blocks if block not in left_out])
    assert complaints(pasted) == []
    assert any(one.statuses for one in pasted), "the page asks nothing"


def test_a_block_that_does_not_run_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Wait.\n\n```sh\nfalse\necho $((1 + 1))\n```\n\n```sh\nA=1\nls <id>\n```\n\n```sh\nexport "
        "B=$A\n```\n"
    )
    reader = Reader(tmp_path, tmp_path / "tools", environment=dict(os.environ))
    pasted = [reader.paste(block) for block in of_page(page)]
    assert [bool(one.failed) for one in pasted] == [True, True, False]
    assert pasted[0].output == "2\n"
    assert len(complaints(pasted)) == 2


def test_an_answer_that_the_text_does_not_speak_of_is_found() -> None:
    block = Block("page:1", "curl x\n", "The answer is 401.")
    assert Pasted(block, [], [202, 401], "").unannounced == []
    assert Pasted(block, [], [202, 415], "").unannounced == [415]
