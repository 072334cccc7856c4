"""What became of each event of the journey, for a person and for a program."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from sinal_cli.client.show import Output, text
from sinal_cli.client.table import Column, folded
from sinal_cli.demo.journey import Step
from sinal_cli.demo.shop import RunningStack

_COLUMNS = (Column(""), Column("what happened"), Column("how it ended", prose=True))
_REASONS = {
    "policy": "the funnel sends nothing for this; it is evidence for matching and reports",
    "no_consent": "the buyer said no",
    "duplicate": "the order's Purchase was sent before",
}
_AT_THE_DOOR = ("refused", "quarantined", "duplicate")


async def examine(world: RunningStack, steps: list[Step]) -> list[dict[str, Any]]:
    """One row an event: what happened, how it ended, whether that is how it must end."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        if step.expected.outcome in _AT_THE_DOOR:
            rows.append(_at_the_door(step))
        for event_id in step.posted.ids if step.expected.outcome not in _AT_THE_DOOR else []:
            rows.append(await _settled(world, step, event_id))
    return rows


def _at_the_door(step: Step) -> dict[str, Any]:
    posted = step.posted
    if step.expected.outcome == "refused":
        outcome, reason, why = "refused", str(posted.status), posted.body.get("detail")
    elif step.expected.outcome == "quarantined":
        outcome, reason, why = (
            "quarantined" if posted.body.get("quarantined") else "lost",
            None,
            "kept for a fix",
        )
    else:
        outcome, reason, why = "withheld", "duplicate", "same delivery, same id: not counted twice"
    return {
        "step": step.title,
        "id": posted.ids[0] if posted.ids else None,
        "outcome": outcome,
        "reason": reason,
        "why": why,
        "ok": outcome != "lost",
    }


async def _settled(world: RunningStack, step: Step, event_id: str) -> dict[str, Any]:
    detail = await world.settled(event_id)
    match, outcome = detail.get("match") or {}, detail["outcome"]
    attempts = [attempt for delivery in detail["deliveries"] for attempt in delivery["attempts"]]
    row = {
        "step": step.title,
        "id": event_id,
        "kind": detail["kind"],
        "gateway": detail.get("gateway"),
        "order_id": detail.get("order_id"),
        "status": detail.get("status"),
        "outcome": outcome["state"],
        "reason": outcome["reason"],
        "match": {key: match.get(key) for key in ("decision", "rule", "score")} if match else None,
        "deliveries": [
            {"destination": d["destination"], "state": d["state"]} for d in detail["deliveries"]
        ],
        "attempts": [
            {name: a[name] for name in ("http_status", "code", "subcode", "answer")}
            for a in attempts
        ],
    }
    complaints = await _complaints(world, step, detail, attempts)
    return {**row, "ok": not complaints, **({"complaints": complaints} if complaints else {})}


async def _complaints(
    world: RunningStack, step: Step, detail: dict[str, Any], attempts: list[dict[str, Any]]
) -> list[str]:
    expected, outcome, match = step.expected, detail["outcome"], detail.get("match") or {}
    found = []
    for name, want, got in (
        ("outcome", expected.outcome, outcome["state"]),
        ("reason", expected.reason, outcome["reason"]),
        ("match decision", expected.decision, match.get("decision")),
        ("match rule", expected.rule, match.get("rule")),
    ):
        if want is not None and want != got:
            found.append(f"{name} is {got}, must be {want}")
    failed = sum(1 for attempt in attempts if attempt["http_status"] != 200)
    if failed < expected.failed_attempts:
        found.append(f"{failed} failed attempts, must be at least {expected.failed_attempts}")
    if outcome["state"] == "delivered":
        found += await _at_meta(
            world, detail, unanswered=sum(1 for one in attempts if one["http_status"] is None)
        )
    elif attempts:
        found.append("it was sent to Meta")
    return found


async def _at_meta(world: RunningStack, detail: dict[str, Any], *, unanswered: int) -> list[str]:
    """Meta must have it once a destination.

    Again, under its one id, only where an answer did not come in time.
    """
    received = await world.at_meta(detail["event_id"])
    pixels = [event["pixel"] for event in received]
    if len(set(pixels)) != len(detail["deliveries"]) or len(pixels) - len(set(pixels)) > unanswered:
        return [f"Meta has it {len(pixels)} times for {len(detail['deliveries'])} destinations"]
    return []


def table(rows: list[dict[str, Any]], ledger: dict[str, int], *, seconds: float, ok: bool) -> None:
    """Print the journey to a terminal.

    What the funnel sends nothing for stands together beneath it.
    """
    out = Output(as_json=False)
    quiet = [
        row
        for row in rows
        if row["ok"] and (row["outcome"], row["reason"]) == ("withheld", "policy")
    ]
    out.write([Text("What became of each event", style="bold")])
    out.table(_COLUMNS, [_cells(row) for row in rows if row not in quiet])
    if quiet:
        named = ", ".join(row["step"] for row in quiet)
        words = (
            f"And {len(quiet)} that the funnel sends nothing for; they are evidence for matching "
            f"and reports: {named}."
        )
        out.write([Text(""), *folded(Text(words), out.console.width), Text("")])
    _verdict(out.console, rows, ledger, seconds=seconds, ok=ok)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    outcome = row["outcome"] + (f" {row['reason']}" if row.get("reason") else "")
    ended = "; ".join(part for part in (outcome, _match_text(row), _answers(row)) if part)
    return ("[green]ok[/]" if row["ok"] else "[red]WRONG[/]", text(row["step"]), text(ended))


def _verdict(
    out: Console, rows: list[dict[str, Any]], ledger: dict[str, int], *, seconds: float, ok: bool
) -> None:
    for row in rows:
        for complaint in row.get("complaints", []):
            out.print(f"[red]{row['step']}[/]: {complaint}")
    totals = " + ".join(
        f"{ledger[name]} {name.replace('_', ' ')}"
        for name in ("delivered", "withheld", "dead", "in_flight")
    )
    out.print(f"Ledger: {ledger['accepted']} accepted = {totals}")
    out.print(
        f"{'Every event ended as it should' if ok else '[red]Something ended as it should not[/]'} "
        f"({seconds:.1f} s)"
    )


def _match_text(row: dict[str, Any]) -> str:
    match = row.get("match")
    if not match:
        return ""
    score = "" if match["score"] is None else f" {match['score']:.2f}"
    return (
        f"{match['decision']} {match['rule']}{score}"
        if match["rule"]
        else f"{match['decision']}{score}"
    )


def _answers(row: dict[str, Any]) -> str:
    if row.get("why"):
        return str(row["why"])
    if not row.get("attempts"):
        return _REASONS.get(row["reason"], "")
    return "Meta: " + ", ".join(_answer(attempt) for attempt in row["attempts"])


def _answer(attempt: dict[str, Any]) -> str:
    status = attempt["http_status"]
    if status is None:
        return "no answer"
    return f"{status}" if attempt["code"] is None else f"{status} code {attempt['code']}"
