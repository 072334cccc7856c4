"""A command whose reader has seen enough (`| head`) ends without a word, and as shells expect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sinal_cli.mistakes import NOBODY_READS

FIXTURE = next((Path(__file__).parents[1] / "fixtures").rglob("hotmart/*.json"))


def test_a_closed_output_is_no_error_of_the_command() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [
        sys.executable,
        "-m",
        "sinal_cli",
        "gateways",
        "parse",
        "--gateway",
        "hotmart",
        str(FIXTURE),
    ]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (NOBODY_READS, b"")
