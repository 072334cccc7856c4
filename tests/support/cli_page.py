"""`docs/users/cli.md`: the main commands as a terminal of 80 columns shows them, captured from a
real run.

`python -m tests.support.cli_page` plays the story on a fresh stack and writes the page; a test
plays it again.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "users" / "cli.md"
WIDTH = 80
START_S = 120.0
COMMAND_S = 120.0
ORDER, CLICK = "HP17960439210000", "cli-page-click"
REFUSED = {"faults": [{"kind": "error", "code": 100, "subcode": 2804019}]}
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_TOKEN = re.compile(r"(/webhooks/\w+/)\w+")  # it is a secret, if only of a stack that is gone
_HEAD = """<!-- Made by `make cli-page` from a real run; change tests/support/cli_page.py. -->

# The command line at work

A terminal of 80 columns, beside a running `make up`. A wider one shows more columns; in a pipe, or with `--json`, the
same commands print JSON lines. What each does is in [api.md](api.md#the-command-line), and
`sinal COMMAND --help` has its options.
"""

# What is said of a command, and the command; `!refuse` and `!forgive` are what Meta's sandbox does
# from there on.
STORY = (
    ("A signed sample of a gateway through the real door; `--click` has it matched.",
     f"sinal gateways send hotmart PURCHASE_APPROVED --order {ORDER} --click {CLICK} --wait"),
    ("What became of an order, and why.", f"sinal explain {ORDER}"),
    ("", "!refuse"),
    ("Meta refuses what comes next.", f"sinal gateways send hotmart approved --order {ORDER}9 "
f"--click {CLICK} --wait"),
    ("What was given up, by cause.", "sinal dead-letters list"),
    ("", "!forgive"),
    ("The cause is mended: an order again, whatever became of "
"it.", f"sinal replay --order {ORDER}9"),
    ("Events, newest first.", "sinal events list --limit 5"),
    ("The last day in figures.", "sinal summary"),
    ("What is declared, and whether it is ready.", "sinal status"),
)  # fmt: skip


def captured(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str, str]]:
    """What is said, the command and what it printed, in turn.

    `environment` is that of the stack's `env` file.
    """
    _visit(environment)
    for words, command in STORY:
        if command.startswith("!"):
            faults = REFUSED if command == "!refuse" else {"faults": []}
            httpx.post(
                f"{environment['SANDBOX']}/_sandbox/faults", json=faults, timeout=60
            ).raise_for_status()
        else:
            yield words, command, shown(command.split()[1:], environment, folder)


def page(story: Iterator[tuple[str, str, str]]) -> str:
    """The whole page."""
    parts = [
        f"\n{words}\n\n```console\n$ {command}\n{printed}```\n" for words, command, printed in story
    ]
    return _HEAD + "".join(parts)


def shown(words: list[str], environment: Mapping[str, str], folder: Path) -> str:
    """What a command prints on a terminal of this width, without colours."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    command = [sys.executable, "-m", "sinal_cli", *words]
    with subprocess.Popen(
        command, stdin=there, stdout=there, stderr=there, env=dict(environment), cwd=folder
    ) as child:
        os.close(there)
        said = b"".join(iter(lambda: _read(here), b""))
        child.wait(COMMAND_S)
    os.close(here)
    return _TOKEN.sub(r"\1…", _COLOURS.sub("", said.decode()).replace("\r\n", "\n"))


@contextmanager
def stack(folder: Path) -> Iterator[dict[str, str]]:
    """A stack of `examples/` in this folder, and the environment that its `env` file makes."""
    command = [sys.executable, "-m", "sinal_cli", "up", "--file", str(ROOT / "examples")]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as up:
        try:
            deadline = time.monotonic() + START_S
            while not (folder / ".sinal" / "ready.json").exists():
                assert up.poll() is None and time.monotonic() < deadline, "the stack did not start"
                time.sleep(0.1)
            yield _sourced(folder / ".sinal" / "env")
        finally:
            up.terminate()
            up.wait(60)


def _sourced(file: Path) -> dict[str, str]:
    said = subprocess.run(
        ["sh", "-c", f". {file} && env -0"], capture_output=True, text=True, check=True
    ).stdout
    pairs = (line.partition("=") for line in said.split("\0") if line)
    return {name: value for name, _, value in pairs} | {"TERM": "xterm", "COLUMNS": str(WIDTH)}


def _visit(environment: Mapping[str, str]) -> None:
    """The click that the sale will be matched with."""
    body = {
        "funnel": environment["PUBLIC_KEY"],
        "click_id": CLICK,
        "url": environment["PAGE"] + "&utm_source=fb&utm_campaign=lancamento",
        "client": {"ip": "177.10.20.30", "user_agent": "Mozilla/5.0"},
    }
    url = f"{environment['INGEST']}/t/{environment['TENANT']}/api/v1/track/pageview"
    key = {"Authorization": f"Bearer {environment['SERVER_KEY']}"}
    httpx.post(url, json=body, headers=key, timeout=60).raise_for_status()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the child has ended
        return b""


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as environment:
        PAGE.write_text(page(captured(environment, Path(folder))))


if __name__ == "__main__":
    main()
