"""`sinal summary|coverage|pairing`: a tenant's last hours in figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from sinal_cli.client.session import ApiRefused, Session
from sinal_cli.client.show import Output, moment, text, when
from sinal_cli.client.table import Column
from sinal_cli.client.tenants import chosen, unknown

KINDS = (Column("what"), Column("outcome"), Column("reason"), Column("events", right=True))
DESTINATIONS = (
    Column("destination"),
    Column("breaker"),
    Column("trouble"),
    Column("last success"),
    Column("dead letters", right=True),
)
INTEGRATIONS = (
    Column("integration"),
    Column("last delivery"),
    Column("refused", right=True),
    Column("not understood", right=True),
)
PAIRS = (
    Column("kind"),
    Column("events", right=True),
    Column("paired", right=True),
    Column("share", right=True),
)


def summary(session: Session, out: Output, *, tenant: str | None, hours: int) -> int:
    """How a tenant's events ended, what waits, and how its destinations and integrations do."""
    found = _asked(session, tenant, "summary", hours)
    if out.lines:
        out.line(found)
        return 0
    out.record(_head(found))
    rows = [
        (one["kind"], one["state"], text(one["reason"]), str(one["events"]))
        for one in found["by_kind"]
    ]
    _table(out, KINDS, sorted(rows), empty="no event came in these hours")
    runtime = found["runtime"] or {"destinations": {}, "integrations": {}}
    _table(
        out,
        DESTINATIONS,
        [
            (
                text(name),
                text(one["breaker"]),
                _trouble(one),
                when(one["last_success_at"]),
                str(one["dead_letters"]),
            )
            for name, one in runtime["destinations"].items()
        ],
    )
    _table(
        out,
        INTEGRATIONS,
        [
            (text(name), when(one["last_delivery_at"]), str(one["rejects"]), str(one["drift"]))
            for name, one in runtime["integrations"].items()
        ],
    )
    return 0


def coverage(session: Session, out: Output, *, tenant: str | None, hours: int) -> int:
    """Which signals the conversions carry, by Meta's event."""
    found = _asked(session, tenant, "signal-coverage", hours)
    if out.lines:
        out.line(found)
        return 0
    if found["all"] is None:
        out.say(f"tenant {found['tenant']}: no conversion in {hours} hours")
        return 0
    events = [found["all"], *found["events"]]
    columns = [
        Column("signal"),
        *(Column(one["event_name"], gives=place, right=True) for place, one in _last(events)),
    ]
    rows = [("conversions", *(str(one["conversions"]) for one in events))]
    rows += [
        (text(signal), *(percent(one["signals"][signal]) for one in events))
        for signal in found["all"]["signals"]
    ]
    out.say(
        f"tenant {found['tenant']}, the last {hours} hours: share of conversions that carry "
        "each signal"
    )
    out.table(columns, rows)
    return 0


def pairing(session: Session, out: Output, *, tenant: str | None, hours: int) -> int:
    """How many events of pages pair with the browser's pixel."""
    found = _asked(session, tenant, "pixel-pairing", hours)
    if out.lines:
        out.line(found)
        return 0
    if found["share"] is None:
        out.say(f"tenant {found['tenant']}: no event of a page in {hours} hours")
        return 0
    rows = [
        (one["kind"], str(one["events"]), str(one["paired"]), percent(one["share"]))
        for one in found["kinds"]
    ]
    out.say(
        f"tenant {found['tenant']}, the last {hours} hours: {percent(found['share'])} of the "
        "pages' events carry "
        "the id that the browser gave. The others count twice beside a pixel."
    )
    out.table(PAIRS, rows)
    return 0


def percent(share: float | None) -> str:
    """A share from 0 to 1."""
    return "" if share is None else f"{share * 100:.1f} %"


def _asked(session: Session, tenant: str | None, what: str, hours: int) -> dict[str, Any]:
    slug = chosen(session, tenant)
    if wrong := unknown(session, slug):
        raise ApiRefused(404, wrong)
    return session.get(f"/api/v1/tenants/{quote(slug, safe='')}/{what}", hours=hours)


def _head(found: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    latency = found["latency_s"]
    yield (
        "tenant",
        text(found["tenant"]) + (" [yellow](suspended)[/]" if found["suspended"] else ""),
    )
    yield "hours", str(found["hours"])
    yield (
        "outcomes",
        ", ".join(
            f"{count} {state.replace('_', ' ')}" for state, count in found["outcomes"].items()
        ),
    )
    yield "matched", percent(found["match_rate"])
    known = {name: value for name, value in latency.items() if isinstance(value, float)}
    yield "to Meta in", ", ".join(f"{name} {value:.1f} s" for name, value in known.items())
    waiting = [one for one in found["backlog"] or () if one["pending"] or one["in_flight"]]
    told = ", ".join(f"{one['consumer']} {one['pending'] + one['in_flight']}" for one in waiting)
    yield (
        "waiting",
        "the broker does not say" if found["backlog"] is None else text(told) or "nothing",
    )
    yield "last event", moment(found["last_event_at"])


def _trouble(one: Mapping[str, Any]) -> str:
    if one.get("suspended"):
        return "[yellow]suspended[/]"
    code = f" (code {one['code']})" if one["code"] is not None else ""
    return "" if one["trouble"] is None else f"[red]{text(one['trouble'])}{code}[/]"


def _last(events: list[dict[str, Any]]) -> Iterable[tuple[int, dict[str, Any]]]:
    """The rarest event gives way first, the sum of all never."""
    for place, one in enumerate(events):
        yield (len(events) - place if place else 0), one


def _table(out: Output, columns: Iterable[Column], rows: list[Any], empty: str = "") -> None:
    out.console.print()
    if rows:
        out.table(tuple(columns), rows)
    elif empty:
        out.say(empty)
