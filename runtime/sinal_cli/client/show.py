"""Answers on a terminal as tables, and everywhere else as JSON lines, one an item."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

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

    def items(self, found: Iterable[dict[str, Any]], columns: Sequence[str], row: Any, *, empty: str) -> None:
        """A table of items, or their lines."""
        if self.lines:
            for item in found:
                self.line(item)
            return
        rows = [row(item) for item in found]
        self.table(columns, rows) if rows else self.console.print(empty)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table for a person."""
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


EVENT_COLUMNS = ("received", "id", "kind", "status", "tenant", "funnel", "order", "value", "match", "outcome")


def event_row(event: dict[str, Any]) -> tuple[str, ...]:
    """One event in a line."""
    match = event["match"]
    kept = [event["kind"], event["status"], event["tenant"], event["funnel"], event["order_id"]]
    return (
        moment(event["received_at"]),
        event["id"],
        *(text(value) for value in kept),
        money(event),
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
    """A cell; what came from outside is no markup."""
    return "" if value is None else str(value).replace("[", r"\[")
