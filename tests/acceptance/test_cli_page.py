"""`docs/users/cli.md` shows what the commands print today: each is played again on a fresh stack at
80 columns.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.cli_page import PAGE, WIDTH, captured, stack

BLOCK = re.compile(r"```console\n\$ (.*)\n((?:.*\n)*?)```")
ID = re.compile(r"\S*(ev_[a-z2-7]{26}|/webhooks/)\S*")


def form(line: str) -> str:
    """A line without what differs from run to run."""
    return re.sub(r"\s+", " ", re.sub(r"[\d.:/]+", "0", ID.sub("ID", line))).strip()


def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    documented = {found[1]: found[2] for found in BLOCK.finditer(PAGE.read_text())}
    with stack(tmp_path) as environment:
        played = {command: printed for _, command, printed in captured(environment, tmp_path)}
    assert documented.keys() == played.keys(), "run `make cli-page`"
    for command, printed in played.items():
        now, then = printed.splitlines(), documented[command].splitlines()
        # The first words: which columns there is room for hangs on the data.
        assert form(now[0]).split()[:3] == form(then[0]).split()[:3], (
            f"{command}: run `make cli-page`"
        )
        assert not [line for line in now if len(line) > WIDTH and not ID.search(line)], command
