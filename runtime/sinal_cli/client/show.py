"""Answers on a terminal as tables, and everywhere else as JSON lines, one an item."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from sinal_cli.client.table import CLOCK, DAY, Cell, Column, Table, folded, record

COLOURS = {"delivered": "green", "dead": "red", "withheld": "yellow", "in_flight": "cyan"}
GRADES = {"ok": "green", "warning": "yellow", "failed": "red"}


class Output:
    """Where a command's results go; `lines` for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self.lines = as_json or not sys.stdout.isatty()
        self.console = Console(highlight=False)

    def line(self, item: Any) -> None:
        """One JSON line."""
        sys.stdout.write(msgspec.json.encode(item).decode() + "\n")
        sys.stdout.flush()

    def items(
        self, found: Iterable[dict[str, Any]], columns: Sequence[Column], row: Any, *, empty: str
    ) -> None:
        """A table of items, or their lines."""
        if self.lines:
            for item in found:
                self.line(item)
            return
        rows = [row(item) for item in found]
        self.table(columns, rows) if rows else self.console.print(empty)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """A table for a person, as wide as the terminal at most."""
        self.write(Table(columns, rows).lines(self.console.width))

    def record(self, facts: Iterable[tuple[str, str]]) -> None:
        """Facts of one thing, those that are known."""
        self.write(
            record(
                [(name, Text.from_markup(value)) for name, value in facts if value],
                self.console.width,
            )
        )

    def say(self, words: str) -> None:
        """Words for a person, folded between them."""
        self.write(folded(Text(plain(words)), self.console.width))

    def sentence(self, words: str) -> None:
        """A sentence at its indent; on a terminal folded under itself, elsewhere in one line."""
        said = plain(words)
        bare = said.lstrip()
        indent = len(said) - len(bare)
        lines = (
            [Text(bare)]
            if self.lines
            else folded(Text(bare), max(1, self.console.width - indent - 2))
        )
        self.write(
            Text(" " * (indent + (2 if place else 0))) + line for place, line in enumerate(lines)
        )

    def write(self, lines: Iterable[Text]) -> None:
        """Lines that fit already: nothing may fold an id that is wider than the terminal."""
        for line in lines:
            self.console.print(line, soft_wrap=True)


EVENT_COLUMNS = (
    Column("received"),
    Column("id", under=True),
    Column("what"),
    Column("tenant", gives=2),
    Column("funnel", gives=3),
    Column("order"),
    Column("value", gives=4, right=True),
    Column("match", gives=1),
    Column("outcome"),
)


def event_row(event: dict[str, Any]) -> tuple[Cell, ...]:
    """One event in a line."""
    match = event["match"]
    return (
        when(event["received_at"]),
        text(event["id"]),
        text(what(event)),
        text(event["tenant"]),
        text(event["funnel"]),
        text(event["order_id"]),
        text(money(event)),
        text(f"{match['decision']} {match['rule']} {match['score']:.2f}") if match else "",
        outcome(event["outcome"]),
    )


def what(event: dict[str, Any]) -> str:
    """A sale by its status, anything else by its kind."""
    return str(event["status"] or event["kind"])


def outcome(found: dict[str, Any]) -> str:
    """State and reason, coloured."""
    state = found["state"]
    words = f"{state} {found['reason']}" if found["reason"] else state
    return f"[{COLOURS.get(state, 'white')}]{words}[/]"


def money(event: dict[str, Any]) -> str:
    """Value and currency."""
    return f"{event['value']} {event['currency'] or ''}".strip() if event["value"] else ""


def moment(at: str | None) -> str:
    """A time as a person here reads it."""
    return datetime.fromisoformat(at).astimezone().strftime(f"{DAY} {CLOCK}") if at else ""


def when(at: str | None) -> datetime | None:
    """A time as a table's cell."""
    return datetime.fromisoformat(at) if at else None


def text(value: Any) -> str:
    """A cell; what came from outside is not markup, and commands no terminal."""
    return "" if value is None else escape(plain(str(value)))


def plain(words: str) -> str:
    """Without control characters: anybody may send an order's number."""
    return "".join(char if char.isprintable() else " " for char in words)
