"""`sinal events list|show|tail`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sinal_cli.client.reasons import note, waits
from sinal_cli.client.session import Session
from sinal_cli.client.show import (
    EVENT_COLUMNS,
    Output,
    event_row,
    moment,
    money,
    outcome,
    text,
    when,
)
from sinal_cli.client.table import Cell, Column, RowStream
from sinal_cli.client.tenants import unknown
from sinal_cli.offline import complain

HISTORY = 10  # events that a tail begins with on a terminal
REMEMBERED = 1_000  # events whose last line is known
TYPICAL = (  # as wide as rows of a tail are: what comes is not known yet
    datetime.now(UTC), f"ev_{'x' * 26}", "initiate_checkout", "loja", "lancamento", f"HP{'0' * 14}", "1497.00 BRL",
    "match ip_user_agent 1.00", "withheld out_of_order",
)  # fmt: skip
ATTEMPT = (
    Column("at"),
    Column("HTTP"),
    Column("code"),
    Column("subcode"),
    Column("took", right=True),
    Column("answer", prose=True),
)


def listing(session: Session, out: Output, *, limit: int, filters: dict[str, Any]) -> int:
    """Events, newest first; 2 for a tenant that there is not."""
    found = list(session.pages("/api/v1/events", "events", most=limit, **filters))
    if not found and (wrong := unknown(session, filters.get("tenant"))):
        complain(wrong)
        return 2
    out.items(found, EVENT_COLUMNS, event_row, empty="no event fits")
    return 0


def show(session: Session, out: Output, *, event_id: str) -> int:
    """One event from its arrival to its deliveries."""
    event = session.get(f"/api/v1/events/{quote(event_id, safe='')}")
    if out.lines:
        out.line(event)
        return 0
    out.console.print(f"[bold]{event['id']}[/]  {outcome(event['outcome'])}")
    facts = ("event_id", "kind", "status", "tenant", "funnel", "gateway", "order_id")
    times = ("occurred_at", "received_at")
    out.record(
        [
            *((name, text(event[name])) for name in facts),
            *((name, moment(event[name])) for name in times),
            ("value", text(money(event))),
        ]
    )
    if event["match"]:
        _match(out, event["match"])
    for one in event.get("why") or ():
        out.console.print(f"- {text(note(one))}")
    for delivery in event["deliveries"]:
        _delivery(out, delivery)
    return 0


def tail(
    session: Session, out: Output, *, filters: dict[str, Any], most: int | None, before: int | None
) -> int:
    """Events as they come and change, until Ctrl-C or so many.

    First the last ones that came before.
    """
    history = HISTORY if before is None and not out.lines else before or 0
    shown = _Shown(out)

    def opened() -> None:
        found = list(session.pages("/api/v1/events", "events", most=history, **filters))
        for event in reversed(found):
            shown(event)

    try:
        number = 0
        for event in session.tail(opened, **filters):
            number += shown(event)
            if most is not None and number >= most:
                break
    except KeyboardInterrupt:
        return 0
    return 0


class _Shown:
    """Lines of events under one head.

    On a terminal an event whose line would be the same is not shown again.
    """

    def __init__(self, out: Output) -> None:
        self._out, self._last = out, dict[str, tuple[Cell, ...]]()
        self._stream = None if out.lines else RowStream(EVENT_COLUMNS, TYPICAL, out.console.width)
        if self._stream is not None:
            out.write(self._stream.head())

    def __call__(self, event: dict[str, Any]) -> bool:
        if self._stream is None:
            self._out.line(event)
            return True
        row = event_row(event)
        if self._last.pop(event["id"], None) == row:
            self._last[event["id"]] = row
            return False
        self._last[event["id"]] = row
        while len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]
        self._out.write(self._stream.lines(row))
        return True


def _match(out: Output, match: dict[str, Any]) -> None:
    head = f"match: {match['decision']} by {match['rule']}, score {match['score']:.2f}"
    out.console.print(
        f"\n{head}" + (f", click {text(match['click_id'])}" if match["click_id"] else "")
    )
    signals = [
        (one["name"], f"{one['weight']:.2f}", "yes" if one["agrees"] else "no")
        for one in match["signals"]
    ]
    if signals:
        out.table((Column("signal"), Column("weight", right=True), Column("agrees")), signals)
    if match.get("runner_up"):
        next_best = match["runner_up"]
        out.console.print(
            f"next best: {text(next_best['click_id'])} by {next_best['rule']}, "
            f"{next_best['score']:.2f}"
        )


def _delivery(out: Output, delivery: dict[str, Any]) -> None:
    out.console.print(f"\nto {delivery['destination']}: {delivery['state']}")
    rows = [
        (
            when(one["at"]), text(one["http_status"]), text(one["code"]), text(one["subcode"]),
            f"{one['latency_ms']} ms" if one["latency_ms"] is not None else "", text(one["answer"]),
        )
        for one in delivery["attempts"]
    ]  # fmt: skip
    if waits(delivery):
        out.console.print(text(waits(delivery)))
    sent = delivery.get("sent")
    if sent:
        parts = ("fields", "user_data", "custom_data")
        out.record([(name, text(", ".join(sent[name]))) for name in parts if sent[name]])
    if rows:
        out.table(ATTEMPT, rows)
    for one in delivery["attempts"]:
        if one.get("left_out"):
            out.console.print(
                f"attempt {one['number']} went without {text(', '.join(one['left_out']))}"
            )
