"""`sinal run ROLE` goes its short way only where it says no more than that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sinal_cli.lean import RunCommand, understood


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["run", "match"], RunCommand("match", ())),
        (
            ["run", "operator", "--file", "a", "-f", "b"],
            RunCommand("operator", (Path("a"), Path("b"))),
        ),
        (["run", "nothing-of-ours"], RunCommand("nothing-of-ours", ())),
        (["run"], None),
        (["run", "--help"], None),
        (["run", "match", "--help"], None),
        (["run", "operator", "--file"], None),
        (["run", "operator", "--file", "--file"], None),
        (["run", "operator", "--file=a"], None),
        (["run", "match", "extra"], None),
        (["events", "list"], None),
        ([], None),
    ],
)
def test_only_plain_words_are_understood(words: list[str], wanted: RunCommand | None) -> None:
    assert understood(words) == wanted


LATER = """
import sys
from sinal_cli import lean
with lean.away("aiohttp"):
    import nats
assert "aiohttp" not in sys.modules
import aiohttp, nats.aio.client
print(aiohttp.__name__)
"""


def test_what_wasaway_can_be_imported_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATER], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("aiohttp\n", 0), done.stderr


@pytest.mark.parametrize(
    "words", [["run", "nothing-of-ours"], ["run", "nothing-of-ours", "--file=x"]]
)
def test_both_ways_refuse_alike(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sinal_cli", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith(
        "unknown role 'nothing-of-ours'; known: ingest"
    ), done.stderr
