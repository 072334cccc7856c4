"""Runbooks as a reader takes them: their commands, with the words in capitals filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "runbooks"
_IN_TEXT = re.compile(r"`((?:sinal|kubectl) [^`]+)`")


@dataclass(frozen=True)
class Step:
    """One command of one page, without its remark."""

    page: str
    command: str

    def __str__(self) -> str:
        return f"{self.page}: {self.command}"

    @property
    def reads_logs(self) -> bool:
        """Whether it looks at what processes wrote."""
        return bool(re.match(r"kubectl -n sinal logs ", self.command))

    def filled(self, words: Mapping[str, str]) -> str:
        """The command with these in place of the page's words, the longest first."""
        command = self.command
        for word in sorted(words, key=len, reverse=True):
            command = command.replace(word, words[word])
        return command


def pages() -> list[Path]:
    """Every page but the list of them."""
    return sorted(path for path in PAGES.glob("*.md") if path.name != "README.md")


def first_steps(page: Path) -> list[Step]:
    """The first three commands."""
    text = page.read_text(encoding="utf-8")
    block = (
        text.partition("## First three commands")[2].partition("```sh\n")[2].partition("\n```")[0]
    )
    return [Step(page.stem, re.sub(r"\s+# .*$", "", line)) for line in block.splitlines()]


def laptop_steps(page: Path) -> list[Step]:
    """The commands for who runs `sinal up`."""
    text = page.read_text(encoding="utf-8")
    block = text.partition("## On a laptop")[2].partition("```sh\n")[2].partition("\n```")[0]
    return [Step(page.stem, line) for line in block.splitlines()]


def further_steps(page: Path) -> list[Step]:
    """Commands that the text names beside those."""
    text = page.read_text(encoding="utf-8")
    outside = re.sub(r"```sh\n.*?```", "", text, flags=re.DOTALL)
    return [Step(page.stem, " ".join(found.split())) for found in _IN_TEXT.findall(outside)]
