"""Answers on a terminal as tables, and everywhere else as JSON lines, one an item."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

COLOURS = {"delivered": "green", "dead": "red", "withheld": "yellow", "in_flight": "cyan"}
_ANY_WIDTH = 10_000
_FOLDED = 40  # characters that a last column has at least, if it has them
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

    def items(self, found: Iterable[dict[str, Any]], columns: Sequence[str], row: Any, *, empty: str) -> None:
        """A table of items, or their lines."""
        if self.lines:
            for item in found:
                self.line(item)
            return
        rows = [row(item) for item in found]
        self.table(columns, rows) if rows else self.console.print(empty)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table for a person. Only its last column is folded: ids must be whole to be copied, on any terminal."""
        table, last = Table(*columns, box=None, header_style="bold", pad_edge=False), 0
        for column in table.columns[:-1]:
            column.no_wrap = True
        for row in rows:
            table.add_row(*row)
            last = max(last, Text.from_markup(row[-1]).cell_len)
        options = self.console.options.update(max_width=_ANY_WIDTH)
        needed = Measurement.get(self.console, options, table).maximum - max(0, last - _FOLDED)
        Console(highlight=False, width=max(self.console.width, needed)).print(table)


EVENT_COLUMNS = ("received", "id", "kind", "status", "tenant", "funnel", "order", "value", "match", "outcome")


def event_row(event: dict[str, Any]) -> tuple[str, ...]:
    """One event in a line."""
    match = event["match"]
    kept = [event["kind"], event["status"], event["tenant"], event["funnel"], event["order_id"]]
    return (
        moment(event["received_at"]),
        event["id"],
        *(text(value) for value in kept),
        text(money(event)),
        f"{match['decision']} {match['rule']} {match['score']:.2f}" if match else "",
        outcome(event["outcome"]),
    )


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
    return datetime.fromisoformat(at).astimezone().strftime("%d/%m %H:%M:%S") if at else ""


def text(value: Any) -> str:
    """A cell; what came from outside is no markup, and commands no terminal."""
    return "" if value is None else escape(plain(str(value)))


def plain(words: str) -> str:
    """Without control characters: anybody may send an order's number."""
    return "".join(char if char.isprintable() else " " for char in words)
