"""What a running `sinal up` says on its terminal: one line for each thing that happened, the verb
first.

Everything else goes to the log file. Invariant: no line holds a key, a token or a person, but for
webhook URLs, which are said to the terminal of their owner on purpose.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from sinal_cli.client.reasons import addressed, refused_because
from sinal_cli.client.show import plain
from sinal_cli.client.table import folded

Verb = Literal[
    "added", "applied", "closed", "ended", "kept", "leaving", "mended", "opened", "problem", "refused", "removed",
    "restarted", "stayed", "stopped", "stopping", "waiting", "error",
]  # fmt: skip
Say = Callable[[Verb, str], None]

_WIDTH = max(map(len, ("restarted", "stopping"))) + 1
_COLOURS: dict[str, str] = {
    "added": "green", "applied": "green", "closed": "green", "mended": "green", "restarted": "yellow",
    "stayed": "green", "kept": "yellow", "leaving": "yellow", "waiting": "yellow", "opened": "red", "problem": "yellow",
    "refused": "red", "ended": "red", "error": "red",
}  # fmt: skip
KEPT = "in quarantine, as nobody understands it: `sinal quarantine list`"
_CLOSED = {"changed": "it was changed, so it is tried at once"}
AGAIN_S = 60.0  # the same trouble is not told more often
REFUSED_AGAIN_S = 3_600.0  # that of a sender, who may go on for days


class Bulletin:
    """Lines on standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._out = console or Console(highlight=False, soft_wrap=True)

    def print(self, line: str = "") -> None:
        """A line as it is."""
        self._out.print(Text(line))

    def say(self, verb: Verb, what: str) -> None:
        """What happened to what; further lines of `what` stand below it."""
        first, *more = (piece for line in what.splitlines() for piece in self._folded(line))
        self._out.print(Text.assemble((verb.ljust(_WIDTH), _COLOURS.get(verb, "bold")), first))
        for line in more:
            self._out.print(Text(" " * _WIDTH) + line)

    def _folded(self, line: str) -> list[Text]:
        """Between words, on a terminal; a file has lines as they are."""
        said = Text(line)
        return folded(said, max(1, self._out.width - _WIDTH)) if self._out.is_terminal else [said]


def silent(verb: Verb, what: str) -> None:
    """Say nothing: for a stack whose terminal belongs to something else."""


class Headlines(logging.Handler):
    """Picks from the log what belongs on the terminal: breakers, refused webhooks, errors of ours.

    Never floods.
    """

    def __init__(self, say: Say, log: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.INFO)
        self._say, self._file, self._clock = say, log, clock
        self._told: dict[str, float] = {}
        self._open: set[str] = set()  # breakers that were said to be

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record of structlog's, which carries its fields."""
        fields = record.msg
        if not isinstance(fields, dict):
            return  # a library's: the file has it
        event = str(fields.get("event"))
        if event == "destination.breaker":
            self._breaker(fields)
        elif event == "webhook.refused":
            self._refused(fields)
        elif event == "webhook.quarantined":
            self._kept(fields)
        elif record.levelno >= logging.ERROR and self._is_due(event):
            self._say("error", f"{event}: see {self._file}")

    def _refused(self, fields: dict[str, object]) -> None:
        """Once an hour for each reason and integration, and for each reason of strangers."""
        names = ("tenant", "integration", "gateway", "reason", "missing")
        # a stranger's URL may hold anything
        row = {name: plain(str(fields.get(name) or "")) for name in names}
        whose = f"{row['tenant']}/{row['integration']}" if row["integration"] else ""
        if self._is_due(f"{row['reason']} {whose}", REFUSED_AGAIN_S):
            hint = "`sinal doctor` counts them"
            self._say("refused", f"delivery of {addressed(row)}\n{refused_because(row)}\n{hint}")

    def _kept(self, fields: dict[str, object]) -> None:
        """Once an hour for each gateway of a tenant."""
        whose = f"{fields['gateway']} to {fields['tenant']}"
        if self._is_due(f"kept {whose}", REFUSED_AGAIN_S):
            self._say("kept", f"delivery of {whose}: {plain(str(fields['reason']))}\n{KEPT}")

    def _breaker(self, fields: dict[str, object]) -> None:
        whose = f"breaker of Destination {fields['destination']} of {fields['tenant']}"
        if fields["state"] == "open" and whose not in self._open:
            self._open.add(whose)
            code = f", code {fields['code']}" if fields.get("code") else ""
            self._say("opened", f"{whose}\n{fields['why']}{code}; `sinal doctor` says what helps")
        elif fields["state"] == "closed" and whose in self._open:
            self._open.discard(whose)
            self._say(
                "closed",
                f"{whose}\n{_CLOSED.get(str(fields['why']), 'Meta takes its events again')}",
            )

    def _is_due(self, what: str, again_s: float = AGAIN_S) -> bool:
        now = self._clock()
        if now - self._told.get(what, -again_s) < again_s:
            return False
        self._told[what] = now
        return True
