"""`sinal quarantine list|show|reparse`: deliveries that no adapter understood, and reading them
again after a fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cyclopts import App

from sinal_cli.client.commands import run
from sinal_cli.client.options import NO_API, ApiOptions
from sinal_cli.client.table import Column
from sinal_cli.offline import complain

if TYPE_CHECKING:
    from sinal_cli.client.session import Session
    from sinal_cli.client.show import Output
    from sinal_cli.client.table import Cell

COLUMNS = (
    Column("received"),
    Column("id", under=True),
    Column("tenant", gives=4),
    Column("integration", gives=3),
    Column("gateway", gives=5),
    Column("sealed bytes", gives=1, right=True),
    Column("reason", prose=True),
)
DONE = (
    Column("id"),
    Column("tenant", gives=1),
    Column("result"),
    Column("events", under=True),
    Column("reason", prose=True),
)
AT_ONCE = 100  # deliveries that one call reads again

quarantine = App(
    name="quarantine", help="Webhooks that no adapter understood, kept sealed for 30 days."
)


@quarantine.command(name="list")
def listing(
    *,
    tenant: str | None = None,
    gateway: str | None = None,
    limit: int = 50,
    api: ApiOptions = NO_API,
) -> int:
    """Kept deliveries, newest first; where they are from and why, never what they hold.

    Parameters
    ----------
    limit
        At most so many.
    """
    return run(
        api, lambda session, out: _list(session, out, limit=limit, tenant=tenant, gateway=gateway)
    )


@quarantine.command
def show(delivery: str, /, *, api: ApiOptions = NO_API) -> int:
    """One kept delivery, without its body."""
    return run(api, lambda session, out: _show(session, out, delivery))


@quarantine.command
def reparse(
    delivery: str | None = None,
    /,
    *,
    gateway: str | None = None,
    tenant: str | None = None,
    api: ApiOptions = NO_API,
) -> int:
    """Read one again, or all of a gateway; what is understood now becomes events.

    Exit 1 when something stays.

    Parameters
    ----------
    delivery
        Id of one delivery.
    gateway
        All deliveries of this gateway.
    tenant
        Of this tenant only; with --gateway.
    """
    if (delivery is None) == (gateway is None) or (delivery is not None and tenant is not None):
        complain(
            "give the id of one delivery as `sinal quarantine list` shows it, or --gateway with or "
            "without --tenant"
        )
        return 2
    if delivery is not None:
        return run(api, lambda session, out: _one(session, out, delivery))
    return run(api, lambda session, out: _all(session, out, {"gateway": gateway, "tenant": tenant}))


def _list(session: Session, out: Output, *, limit: int, **wanted: str | None) -> int:
    from sinal_cli.client.tenants import unknown

    found = list(session.pages("/api/v1/quarantine", "deliveries", most=limit, **wanted))
    if not found and (wrong := unknown(session, wanted.get("tenant"))):
        complain(wrong)
        return 2
    out.items(found, COLUMNS, _row, empty="nothing is in quarantine")
    return 0


def _show(session: Session, out: Output, delivery: str) -> int:
    from sinal_cli.client.show import moment, text

    found = session.get(f"/api/v1/quarantine/{quote(delivery, safe='')}")
    if out.lines:
        out.line(found)
    else:
        out.record(
            [
                ("received", moment(found["received_at"])),
                *((name, text(found[name])) for name in ("id", "tenant", "integration", "gateway")),
                ("sealed bytes", str(found["sealed_bytes"])),
                ("expires", moment(found["expires_at"])),
                ("reason", text(found["reason"])),
            ]
        )
    return 0


def _one(session: Session, out: Output, delivery: str) -> int:
    return _report(out, [session.post(f"/api/v1/quarantine/{quote(delivery, safe='')}/reparse")])


def _all(session: Session, out: Output, wanted: dict[str, Any]) -> int:
    done: list[dict[str, Any]] = []
    body: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None} | {
        "limit": AT_ONCE
    }
    while True:
        page = session.post("/api/v1/quarantine/reparse", body)
        done += page["deliveries"]
        if page["next_cursor"] is None:
            return _report(out, done)
        body = {**body, "cursor": page["next_cursor"]}


def _report(out: Output, done: list[dict[str, Any]]) -> int:
    from sinal_cli.client.show import text

    rows = [
        (
            one["id"],
            text(one["tenant"]),
            one["result"],
            ", ".join(one["events"]),
            text(one["reason"]),
        )
        for one in done
    ]
    if out.lines:
        for one in done:
            out.line(one)
    else:
        out.table(DONE, rows) if rows else out.console.print("nothing fits")
    return 0 if all(one["result"] == "released" for one in done) else 1


def _row(kept: dict[str, Any]) -> tuple[Cell, ...]:
    from sinal_cli.client.show import text, when

    return (
        when(kept["received_at"]), text(kept["id"]), text(kept["tenant"]), text(kept["integration"]),
        text(kept["gateway"]), str(kept["sealed_bytes"]), text(kept["reason"]),
    )  # fmt: skip
