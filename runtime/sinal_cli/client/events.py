"""`sinal events list|show|tail`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sinal_cli.client.reasons import note, waits
from sinal_cli.client.session import Session
from sinal_cli.client.show import EVENT_COLUMNS, Output, event_row, moment, money, outcome, text, when
from sinal_cli.client.table import Column

ATTEMPT = (
    Column("at"),
    Column("HTTP"),
    Column("code"),
    Column("subcode"),
    Column("took", right=True),
    Column("answer", prose=True),
)


def listing(session: Session, out: Output, *, limit: int, filters: dict[str, Any]) -> int:
    """Events, newest first."""
    found = session.pages("/api/v1/events", "events", most=limit, **filters)
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


def tail(session: Session, out: Output, *, filters: dict[str, Any], most: int | None) -> int:
    """Events as they come and change, until Ctrl-C or so many."""
    try:
        for number, event in enumerate(session.tail(**filters), start=1):
            if out.lines:
                out.line(event)
            else:
                out.console.print("  ".join(str(part) for part in event_row(event) if part))
            if most is not None and number >= most:
                break
    except KeyboardInterrupt:
        return 0
    return 0


def _match(out: Output, match: dict[str, Any]) -> None:
    head = f"match: {match['decision']} by {match['rule']}, score {match['score']:.2f}"
    out.console.print(f"\n{head}" + (f", click {text(match['click_id'])}" if match["click_id"] else ""))
    signals = [(one["name"], f"{one['weight']:.2f}", "yes" if one["agrees"] else "no") for one in match["signals"]]
    if signals:
        out.table((Column("signal"), Column("weight", right=True), Column("agrees")), signals)
    if match.get("runner_up"):
        next_best = match["runner_up"]
        out.console.print(f"next best: {text(next_best['click_id'])} by {next_best['rule']}, {next_best['score']:.2f}")


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
            out.console.print(f"attempt {one['number']} went without {text(', '.join(one['left_out']))}")
