"""`sinal review list|accept|reject`."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from sinal_cli.client.session import Session
from sinal_cli.client.show import Output, money, outcome, text, when
from sinal_cli.client.table import Cell, Column

COLUMNS = (
    Column("received"),
    Column("id", under=True),
    Column("tenant", gives=2),
    Column("funnel", gives=3),
    Column("order"),
    Column("value", gives=4, right=True),
    Column("score", right=True),
    Column("rule", gives=1),
    Column("click", under=True),
)


def listing(session: Session, out: Output, *, tenant: str | None, limit: int) -> int:
    """Sales that wait for a person."""
    found = session.pages("/api/v1/review", "events", most=limit, tenant=tenant)
    out.items(found, COLUMNS, _row, empty="nothing waits for you")
    return 0


def say(
    session: Session,
    out: Output,
    *,
    event_id: str,
    word: Literal["accept", "reject"],
    drop: bool = False,
) -> int:
    """Decide about one match."""
    body = {"then": "drop" if drop else "send"} if word == "reject" else None
    said = session.post(f"/api/v1/review/{quote(event_id, safe='')}/{word}", body)
    if out.lines:
        out.line(said)
        return 0
    again = "" if said["changed"] else " (it was said before)"
    out.console.print(f"{event_id}: {said['word']}{again}; {outcome(said['event']['outcome'])}")
    return 0


def _row(event: dict[str, Any]) -> tuple[Cell, ...]:
    match = event["match"]
    return (
        when(event["received_at"]), text(event["id"]), text(event["tenant"]), text(event["funnel"]),
        text(event["order_id"]), text(money(event)), f"{match['score']:.2f}",
        text(match["rule"]), text(match["click_id"]),
    )  # fmt: skip
