"""`sinal keys list|create|revoke`: keys of the operations API, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from cyclopts import App

from sinal_cli.client.commands import run
from sinal_cli.client.options import NO_API, ApiOptions
from sinal_cli.client.table import Cell, Column

if TYPE_CHECKING:
    from sinal_cli.client.session import Session
    from sinal_cli.client.show import Output

COLUMNS = (
    Column("id"),
    Column("name"),
    Column("tenant", gives=4),
    Column("role"),
    Column("state"),
    Column("created", gives=2),
    Column("used", gives=3),
    Column("expires", gives=1),
)

keys = App(name="keys", help="Keys of the operations API; they need an admin's key.")


@keys.command(name="list")
def listing(*, tenant: str | None = None, limit: int = 100, api: ApiOptions = NO_API) -> int:
    """Keys, newest first; never the key itself.

    Parameters
    ----------
    limit
        At most so many.
    """
    return run(api, lambda session, out: _list(session, out, tenant=tenant, limit=limit))


@keys.command
def create(
    name: str,
    /,
    *,
    tenant: str | None = None,
    role: Literal["viewer", "operator", "admin"] = "viewer",
    expires_in_days: int | None = None,
    api: ApiOptions = NO_API,
) -> int:
    """Make a key and print it, this once: it is kept nowhere.

    Parameters
    ----------
    name
        What a person will know it by.
    tenant
        Whose events it shows; without one it is a key of the platform.
    role
        viewer reads, operator also replays and reviews, admin also keeps keys and funnels.
    expires_in_days
        When it ends by itself.
    """
    asked = {"name": name, "tenant": tenant, "role": role, "expires_in_days": expires_in_days}
    body = {field: value for field, value in asked.items() if value is not None}
    return run(api, lambda session, out: _create(session, out, body))


@keys.command
def revoke(key: str, /, *, api: ApiOptions = NO_API) -> int:
    """End a key, at once and for good.

    Parameters
    ----------
    key
        Its id, as `sinal keys list` shows it.
    """
    return run(api, lambda session, out: _revoke(session, out, key))


def _list(session: Session, out: Output, *, tenant: str | None, limit: int) -> int:
    found = session.pages("/api/v1/keys", "keys", most=limit, tenant=tenant)
    out.items(found, COLUMNS, _row, empty="no keys: `sinal keys create NAME` makes one")
    return 0


def _create(session: Session, out: Output, body: dict[str, Any]) -> int:
    from sinal_cli.client.show import moment, text

    made = session.post("/api/v1/keys", body)
    if out.lines:
        out.line(made)
        return 0
    facts = ("key", "id", "name", "tenant", "role")
    out.record(
        [*((fact, text(made[fact])) for fact in facts), ("expires", moment(made["expires_at"]))]
    )
    out.say("The key is shown this once: put it where it is used, for instance as SINAL_API_KEY.")
    return 0


def _revoke(session: Session, out: Output, key: str) -> int:
    ended = session.delete(f"/api/v1/keys/{quote(key, safe='')}")
    out.line(ended) if out.lines else out.say(f"{ended['name']} ({ended['id']}) has ended.")
    return 0


def _row(key: dict[str, Any]) -> tuple[Cell, ...]:
    from sinal_cli.client.show import text, when

    state = "[red]revoked[/]" if key["revoked_at"] else "[green]active[/]"
    return (
        text(key["id"]), text(key["name"]), text(key["tenant"] or "all"), text(key["role"]), state,
        when(key["created_at"]), when(key["last_used_at"]), when(key["expires_at"]),
    )  # fmt: skip
