"""`sinal review list|accept|reject`."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from sinal_cli.client.session import Session
from sinal_cli.client.show import Output, moment, money, outcome, text

COLUMNS = ("received", "id", "tenant", "funnel", "order", "value", "score", "rule", "click")


def listing(session: Session, out: Output, *, tenant: str | None, limit: int) -> int:
    """Sales that wait for a person."""
    found = session.pages("/api/v1/review", "events", most=limit, tenant=tenant)
    out.items(found, COLUMNS, _row, empty="nothing waits for you")
    return 0


def say(session: Session, out: Output, *, event_id: str, word: Literal["accept", "reject"], drop: bool = False) -> int:
    """Decide about one match."""
    body = {"then": "drop" if drop else "send"} if word == "reject" else None
    said = session.post(f"/api/v1/review/{quote(event_id, safe='')}/{word}", body)
    if out.lines:
        out.line(said)
        return 0
    again = "" if said["changed"] else " (it was said before)"
    out.console.print(f"{event_id}: {said['word']}{again}; {outcome(said['event']['outcome'])}")
    return 0


def _row(event: dict[str, Any]) -> tuple[str, ...]:
    match = event["match"]
    return (
        moment(event["received_at"]), event["id"], text(event["tenant"]), text(event["funnel"]),
        text(event["order_id"]), text(money(event)), f"{match['score']:.2f}", match["rule"], text(match["click_id"]),
    )  # fmt: skip
