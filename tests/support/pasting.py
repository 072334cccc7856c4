"""Blocks of commands out of a page or a terminal, pasted into one shell, as a reader does."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMANDS = (".", "curl", "sinal", "make", "export", "kubectl")
_TIMEOUT_S = 300


class Block(NamedTuple):
    """Commands and the words around them: where an answer of 4xx or 5xx is meant, these say so by
    its number.
    """

    place: str
    commands: str
    around: str

    @property
    def announced(self) -> set[int]:
        """Statuses of 400 and more that the text names."""
        return {int(found) for found in re.findall(r"\b[45]\d\d\b", self.around + self.commands)}


class Pasted(NamedTuple):
    """What came of a block."""

    block: Block
    failed: list[str]  # commands that ended with another status than 0
    statuses: list[int]  # HTTP answers that curl got
    output: str

    @property
    def unannounced(self) -> list[int]:
        """Answers of 400 and more that the text does not speak of."""
        return [
            status
            for status in self.statuses
            if status >= 400 and status not in self.block.announced
        ]


def of_page(path: Path) -> list[Block]:
    """The `sh` blocks of a Markdown page, each with the paragraphs before and after it."""
    text = path.read_text()
    found = []
    for block in _FENCE.finditer(text):
        before = text[: block.start()].rstrip().rpartition("\n\n")[2]
        after = text[block.end() :].lstrip().partition("\n\n")[0]
        line = text.count("\n", 0, block.start()) + 1
        found.append(Block(f"{path.name}:{line}", block.group(1), f"{before}\n{after}"))
    return found


def of_terminal(name: str, text: str) -> list[Block]:
    """Indented paragraphs that begin with a command, each with the line before it."""
    found = []
    paragraphs = text.split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        lines = paragraph.strip("\n").splitlines()
        if (
            lines
            and all(line.startswith("  ") for line in lines)
            and lines[0].split()[0] in _COMMANDS
        ):
            commands = "".join(line[2:] + "\n" for line in lines)
            found.append(
                Block(
                    f"{name}: {lines[0].strip()}",
                    commands,
                    paragraphs[number - 1] if number else "",
                )
            )
    return found


class Reader:
    """Somebody in a folder, with one shell in which everything is pasted that is read."""

    def __init__(self, folder: Path, tools: Path, *, environment: Mapping[str, str]) -> None:
        """`tools` is for a curl that writes down each answer's headers.

        It comes first on the PATH.
        """
        self._folder = folder
        self._answers = tools / "answers"
        self._answers.mkdir(parents=True)
        real = shutil.which("curl")
        assert real, "curl is missing: apt-get install curl"
        (tools / "curl").write_text(
            f'#!/bin/sh\nexec {real} -D "$(mktemp {self._answers}/XXXXXX)" "$@"\n'
        )
        (tools / "curl").chmod(0o755)
        self._environment = {**environment, "PATH": f"{tools}:{environment['PATH']}"}
        self._state = tools / "state"
        self._state.touch()

    def paste(self, block: Block) -> Pasted:
        """Run the block; variables that it sets are there for the next one."""
        for old in self._answers.iterdir():
            old.unlink()
        failed = self._state.with_name("failed")
        failed.unlink(missing_ok=True)
        # No `set -e`: a reader's shell goes on behind a command that fails, so the trap notes each.
        script = (
            f"set -a; . {self._state}\n"
            f"trap 'echo \"$? $BASH_COMMAND\" >>{failed}' ERR\n"
            f"{block.commands}\n"
            f"trap - ERR\n"
            f"export -p >{self._state}\n"
        )
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        wrong = failed.read_text().splitlines() if failed.exists() else []
        if ran.returncode:
            wrong.append(f"{ran.returncode} the block as a whole")
        return Pasted(block, wrong, self._statuses(), ran.stdout)

    def _statuses(self) -> list[int]:
        heads = [
            path.read_text()
            for path in sorted(self._answers.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        ]
        return [
            int(status)
            for head in heads
            for status in re.findall(r"^HTTP/\S+ (\d{3})", head, re.MULTILINE)
        ]


def complaints(pasted: Sequence[Pasted]) -> list[str]:
    """A line for each block that failed, with what it printed."""
    return [
        f"{one.block.place}: failed {one.failed}, unannounced answers {one.unannounced}\n"
        f"{one.block.commands}\n{one.output}"
        for one in pasted
        if one.failed or one.unannounced
    ]
