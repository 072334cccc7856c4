"""`sinal doctor`: looks at everything, says what is wrong and what to do.

Exit 1 when something is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from sinal_cli.client.reasons import refusal
from sinal_cli.client.session import ApiUnreachable, Session
from sinal_cli.client.show import GRADES, Output, text
from sinal_cli.client.table import Column, folded
from sinal_cli.client.ways_out import advice

CLOCK_S = 5.0
COLUMNS = (Column("grade"), Column("area"), Column("what"), Column("found", prose=True))


def examine(session: Session, out: Output, *, tenant: str | None, tokens: bool) -> int:
    """Findings of the API, and of this machine's clock against the API's."""
    before = datetime.now(UTC)
    status = session.get("/api/v1/status", tenant=tenant, tokens=str(tokens).lower())
    after = datetime.now(UTC)
    findings = [
        {
            "area": "services",
            "subject": "api",
            "grade": "ok",
            "detail": session.target.url,
            "advice": None,
        },
        _clock(datetime.fromisoformat(status["now"]), before, after),
        *map(_refusal, status["findings"]),
    ]
    findings += _disk(session, findings)
    for one in findings:
        one["advice"] = advice(one, session.target)
    failed = any(one["grade"] == "failed" for one in findings)
    _print(out, findings)
    return 1 if failed else 0


def _refusal(finding: dict[str, Any]) -> dict[str, Any]:
    """Refused deliveries in the words of `sinal explain`."""
    row = finding.get("refusal")
    return finding if not row else finding | {"advice": refusal(row)}


def _disk(session: Session, findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What waits on the disk of a `sinal up`: while the broker is away only its edge can tell."""
    if session.target.metrics is None or any(one["area"] == "spool" for one in findings):
        return []
    try:
        _, state = session.probe(f"{session.target.metrics}/readyz")
    except ApiUnreachable:
        detail, hint = (
            "does not answer",
            "stop `sinal up` and start it again; gateways send again what was refused",
        )
        return [
            {
                "area": "services",
                "subject": "ingest",
                "grade": "failed",
                "detail": detail,
                "advice": hint,
            }
        ]
    spool = state.get("spool") or {}
    if not spool.get("records"):
        return []
    detail = f"{spool['records']} events wait on disk, the oldest for {spool['oldest_s']:.0f} s"
    hint = "they are sent by themselves once the broker answers: nothing is lost"
    return [
        {"area": "spool", "subject": "ingest", "grade": "warning", "detail": detail, "advice": hint}
    ]


def _clock(theirs: datetime, before: datetime, after: datetime) -> dict[str, Any]:
    """Their clock must lie in the time their answer took, give or take."""
    off_s = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    finding = {
        "area": "clocks",
        "subject": "this machine",
        "grade": "ok",
        "detail": f"{off_s:.1f} s apart",
        "advice": None,
    }
    if off_s > CLOCK_S:
        finding |= {"grade": "warning", "advice": "run NTP on this machine; times it shows are off"}
    return finding


def _print(out: Output, findings: list[dict[str, Any]]) -> None:
    if out.lines:
        for one in findings:
            out.line(one)
        return
    rows = [
        (
            f"[{GRADES[one['grade']]}]{one['grade']}[/]",
            one["area"],
            text(one["subject"]),
            text(one["detail"]),
        )
        for one in findings
    ]
    out.table(COLUMNS, rows)
    for one in findings:
        if one["advice"]:
            said = Text.from_markup(
                f"[{GRADES[one['grade']]}]{text(one['subject'])}[/]: {text(one['advice'])}"
            )
            out.write([Text(), *folded(said, out.console.width)])
