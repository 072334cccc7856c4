"""`sinal replay` and `sinal dead-letters list|replay`: call by call until nothing is left, with one
result at the end.

Every call has an Idempotency-Key of the run's, so that one whose answer was lost is asked again and
not done again.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sinal_cli.client.messages import meta_said
from sinal_cli.client.session import ApiRefused, ApiUnreachable, Session
from sinal_cli.client.show import Output, text, what, when
from sinal_cli.client.table import Cell, Column
from sinal_cli.client.tenants import unknown
from sinal_cli.offline import complain
from sinal_core.aio.backoff import NONE, Backoff

TRIES = 4
PAUSE = Backoff(base_s=1.0, cap_s=4.0, jitter=NONE)  # between two tries
MOST_GROUPS = 500  # the API tells of
GROUP = ("tenant", "stage", "reason", "code", "subcode", "destination")
GROUPS = (
    Column("count", right=True),
    Column("tenant", gives=2),
    Column("stage", gives=1),
    Column("reason"),
    Column("code"),
    Column("subcode"),
    Column("destination"),
    Column("first", gives=3),
    Column("last"),
    Column("sample", under=True),
    Column("detail", prose=True),
)
MOST_OF_ORDER = 200
TRIED = (
    Column("event", under=True),
    Column("what"),
    Column("outcome"),
    Column("result", prose=True),
)
SAMPLE = (Column("tenant", gives=1), Column("event"), Column("destination"), Column("action"))


class Totals:
    """What a run of calls came to."""

    def __init__(self, *, dry_run: bool) -> None:
        self.found: dict[str, Any] = {
            "dry_run": dry_run, "matched": 0, "replayed": 0, "skipped": {}, "why": {}, "sample": [], "operations": []
        }  # fmt: skip

    def add(self, result: dict[str, Any]) -> None:
        """One more call's result."""
        for name in ("matched", "replayed"):
            self.found[name] += result[name]
        for word, count in result["skipped"].items():
            self.found["skipped"][word] = self.found["skipped"].get(word, 0) + count
        self.found["why"].update(result["why"])
        self.found["sample"] = [*self.found["sample"], *result["sample"]][:20]
        if result["operation"]:
            self.found["operations"].append(result["operation"])


def one(session: Session, out: Output, *, event_id: str, body: dict[str, Any]) -> int:
    """Send one event again."""
    totals = Totals(dry_run=bool(body.get("dry_run")))
    try:
        totals.add(_once(session, event_id, body))
    except ApiRefused as error:
        if error.status == 404 and not event_id.startswith("ev_"):
            raise ApiRefused(
                404, f"{error}. Of an order it is: sinal replay --order {event_id}"
            ) from None
        raise
    return _report(out, totals)


def order(session: Session, out: Output, *, filters: dict[str, Any], body: dict[str, Any]) -> int:
    """Send an order's events again, whatever became of them, with the guards of each.

    1 when nothing was sent, 2 for a number that orders of several gateways have.
    """
    found = list(session.pages("/api/v1/events", "events", most=MOST_OF_ORDER, **filters))
    if not found:
        complain(
            unknown(session, filters.get("tenant"))
            or f"no event of an order {filters['order_id']!r} fits"
        )
        return 1
    if len(gateways := sorted({event["gateway"] for event in found if event.get("gateway")})) > 1:
        number = filters["order_id"]
        complain(
            f"orders of several gateways have the number {number!r}: say --gateway "
            f"{' or '.join(gateways)}"
        )
        return 2
    done = [_tried(session, event, body) for event in reversed(found)]
    if out.lines:
        for item in done:
            out.line(item)
    else:
        out.table(
            TRIED,
            [
                tuple(text(item[name]) for name in ("event", "what", "outcome", "result"))
                for item in done
            ],
        )
    return 0 if any(item["replayed"] for item in done) else 1


def _tried(session: Session, event: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What a replay of one event did, or why it did nothing."""
    verb = "would be sent again" if body.get("dry_run") else "sent again"
    try:
        said = _once(session, event["id"], body)
        replayed = said["replayed"] > 0
        result = verb if replayed else "; ".join(said["why"].values()) or "nothing to send"
    except ApiRefused as error:
        if error.status != 409:
            raise
        replayed, result = False, str(error)
    state = event["outcome"]
    ended = f"{state['state']} {state['reason'] or ''}".strip()
    return {
        "event": event["id"],
        "what": what(event),
        "outcome": ended,
        "replayed": replayed,
        "result": result,
    }


def _once(session: Session, event_id: str, body: dict[str, Any]) -> dict[str, Any]:
    return _insist(
        session, f"/api/v1/replay/{quote(event_id, safe='')}", body, f"cli-{uuid.uuid4().hex}"
    )


def many(session: Session, out: Output, *, body: dict[str, Any]) -> int:
    """Send everything that fits a filter again."""
    totals = Totals(dry_run=bool(body.get("dry_run")))
    with _Spinner(out) as told:
        _drain(session, "/api/v1/replay", body, totals, told)
    if not totals.found["matched"] and (wrong := unknown(session, body.get("tenant"))):
        complain(wrong)
        return 2
    return _report(out, totals)


def letters(session: Session, out: Output, *, tenant: str | None) -> int:
    """Dead letters by cause."""
    groups, more = _groups(session, tenant)
    out.items(groups, GROUPS, _group_row, empty="no dead letters")
    if more:
        complain(
            f"these are the largest {MOST_GROUPS} groups, there are more: --tenant shows one's own"
        )
    return 0


def replay_letters(
    session: Session, out: Output, *, wanted: dict[str, Any], body: dict[str, Any]
) -> int:
    """Send the groups again that fit; 1 when there are groups that were not looked at."""
    groups, more = _groups(session, wanted.get("tenant"))
    chosen = [
        one
        for one in groups
        if all(value is None or one[name] == value for name, value in wanted.items())
    ]
    totals = Totals(dry_run=bool(body.get("dry_run")))
    with _Spinner(out) as told:
        for group in chosen:
            named = {name: group[name] for name in GROUP if group[name] is not None}
            _drain(session, "/api/v1/dead-letters/replay", {**body, **named}, totals, told)
    _report(out, totals)
    if more:
        complain(
            f"only the largest {MOST_GROUPS} groups were looked at: say it again, or with --tenant"
        )
    return int(more)


def _groups(session: Session, tenant: str | None) -> tuple[list[dict[str, Any]], bool]:
    """The largest groups, and whether there are more."""
    found = session.get("/api/v1/dead-letters", tenant=tenant, limit=MOST_GROUPS)
    return found["groups"], found["more"]


def _drain(
    session: Session,
    path: str,
    body: dict[str, Any],
    totals: Totals,
    told: Callable[[dict[str, Any]], None],
) -> None:
    run, cursor, number = uuid.uuid4().hex, None, 0
    while number == 0 or cursor is not None:
        asked = body if cursor is None else {**body, "cursor": cursor}
        result = _insist(session, path, asked, f"cli-{run}-{number}")
        totals.add(result)
        told(totals.found)
        cursor, number = result["next_cursor"], number + 1


def _insist(session: Session, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    """The same call with the same key until it is answered; it happens once."""
    # A lost answer is the usual case: under the same key the API tells the first result again.
    for number in range(1, TRIES + 1):
        try:
            return session.post(path, body, key=key)
        except (ApiUnreachable, ApiRefused) as error:
            if not error.passing or number == TRIES:
                raise
            time.sleep(PAUSE.full_s(number))
    raise AssertionError("the last try returns or raises")


class _Spinner:
    """A spinner on a terminal's standard error; nothing for programs."""

    def __init__(self, out: Output) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True,
            disable=out.lines or not sys.stderr.isatty(),
        )  # fmt: skip

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._progress.start()
        task = self._progress.add_task("looking", total=None)

        def told(found: dict[str, Any]) -> None:
            self._progress.update(
                task, description=f"{found['matched']} looked at, {found['replayed']} sent again"
            )

        return told

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _report(out: Output, totals: Totals) -> int:
    found = totals.found
    if out.lines:
        out.line(found)
        return 0
    verb = "would be sent again" if found["dry_run"] else "sent again"
    out.console.print(f"{found['replayed']} of {found['matched']} {verb}")
    for word, count in found["skipped"].items():
        out.console.print(f"  {count} left alone: {word}: {text(found['why'][word])}")
    if found["dry_run"] and found["sample"]:
        rows = [
            [text(one[name]) for name in ("tenant", "event", "destination", "action")]
            for one in found["sample"]
        ]
        out.table(SAMPLE, rows)
    return 0


def _group_row(group: dict[str, Any]) -> tuple[Cell, ...]:
    named = (text(group[name]) for name in GROUP)
    times = (when(group["first_at"]), when(group["last_at"]))
    return (
        str(group["count"]),
        *named,
        *times,
        text(next(iter(group["sample"]), None)),
        text(meta_said(group["detail"] or "")),
    )
