"""`sinal privacy export|erase|consent`: what a person asks of their data, through the operations
API.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sinal_cli.client.commands import run
from sinal_cli.client.options import CLICK, NO_API, ORDER, ApiOptions
from sinal_cli.offline import complain

if TYPE_CHECKING:
    from sinal_cli.client.session import Session
    from sinal_cli.client.show import Output

POLL_S = 1.0
PATIENCE_S = 600.0

privacy = App(
    name="privacy", help="What people ask of their data: to see it, to be forgotten, no ads."
)


@privacy.command
def export(
    *,
    tenant: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    order: Annotated[str | None, Parameter(name=ORDER)] = None,
    api: ApiOptions = NO_API,
) -> int:
    """Print everything kept of a person as one JSON object.

    Parameters
    ----------
    tenant
        Needed with a key of the platform.
    email
        As the person wrote it, or its SHA-256.
    phone
        Likewise.
    order
        The gateway's number of an order.
    """
    body = _body(tenant, email=email, phone=phone, order_id=order)
    return _asked(body, api, lambda session, out: _export(session, out, body))


@privacy.command
def erase(
    *,
    tenant: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    order: Annotated[str | None, Parameter(name=ORDER)] = None,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False,
    dry_run: bool = False,
    api: ApiOptions = NO_API,
) -> int:
    """Forget a person: in every table, queue, quarantine and spool.

    What was sent to Meta stays there.

    Parameters
    ----------
    tenant
        Needed with a key of the platform.
    email
        As the person wrote it, or its SHA-256.
    phone
        Likewise.
    order
        The gateway's number of an order.
    wait
        Until it is done; exit 1 when it is not after ten minutes.
    yes
        Do not ask; where standard input or output is not a terminal nobody is asked.
    dry_run
        Only show what would be forgotten.
    """
    body = _body(tenant, email=email, phone=phone, order_id=order)
    if dry_run:
        return _asked(body, api, lambda session, out: _foreseen(session, out, body))
    return _asked(body, api, lambda session, out: _erase(session, out, body, wait=wait, yes=yes))


@privacy.command
def consent(
    *,
    granted: Annotated[bool, Parameter(name="--give", negative="--withdraw")],
    tenant: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    click: Annotated[str | None, Parameter(name=CLICK)] = None,
    external_id: str | None = None,
    api: ApiOptions = NO_API,
) -> int:
    """Withdraw a person's consent to ads, which also stops what waits, or give it again.

    Parameters
    ----------
    granted
        Which of the two.
    tenant
        Needed with a key of the platform.
    email
        As the person wrote it, or its SHA-256.
    phone
        Likewise.
    click
        Our click id.
    external_id
        The shop's own id of its customer.
    """
    body = _body(tenant, email=email, phone=phone, click_id=click, external_id=external_id)
    return _asked(
        body, api, lambda session, out: _consent(session, out, body | {"consent_ads": granted})
    )


def _body(tenant: str | None, **person: str | None) -> dict[str, Any]:
    told = {name: value for name, value in person.items() if value}
    return told | ({"tenant": tenant} if tenant and told else {})


def _asked(body: dict[str, Any], api: ApiOptions, work: Any) -> int:
    if not body:
        complain("say whose data: --email, --phone, …; `--help` lists them")
        return 2
    return run(api, work)


def _export(session: Session, out: Output, body: dict[str, Any]) -> int:
    out.line(session.post("/api/v1/privacy/exports", body))
    return 0


def _foreseen(session: Session, out: Output, body: dict[str, Any]) -> int:
    """Show how much is kept of the person, by table."""
    data = session.post("/api/v1/privacy/exports", body)["data"]
    counts = {name: len(rows) for name, rows in data.items() if rows}
    if out.lines:
        out.line({"dry_run": True, "counts": counts})
        return 0
    if not counts:
        out.say(
            "Nothing is kept of this person now; what comes within the hour would be forgotten too."
        )
        return 0
    out.say("What is kept of this person, and would be forgotten for good:")
    out.record([(name, str(count)) for name, count in counts.items()])
    out.say("What was sent to Meta stays there.")
    return 0


def _agreed(session: Session, out: Output, body: dict[str, Any], *, yes: bool) -> bool:
    """Whether the person at the terminal means it; programs and --yes are not asked."""
    if yes or out.lines or not sys.stdin.isatty():
        return True
    _foreseen(session, out, body)
    return input("Forget it? [y/N] ").strip().lower() in ("y", "yes")


def _erase(session: Session, out: Output, body: dict[str, Any], *, wait: bool, yes: bool) -> int:
    if not _agreed(session, out, body, yes=yes):
        complain("nothing was forgotten")
        return 1
    found = session.post("/api/v1/privacy/erasures", body)
    deadline = time.monotonic() + PATIENCE_S
    while wait and found["state"] != "done" and time.monotonic() < deadline:
        time.sleep(POLL_S)
        found = session.get(f"/api/v1/privacy/erasures/{found['id']}")
    if out.lines:
        out.line(found)
    else:
        counts = (
            ", ".join(f"{name}: {count}" for name, count in found["counts"].items() if count)
            or "nothing found yet"
        )
        out.console.print(f"{found['id']}: {found['state']}; {counts}")
    return 0 if found["state"] == "done" or not wait else 1


def _consent(session: Session, out: Output, body: dict[str, Any]) -> int:
    said = session.post("/api/v1/privacy/consent", body)
    if out.lines:
        out.line(said)
    else:
        word = "given" if said["consent_ads"] else "withdrawn"
        out.console.print(
            f"{word}; " + ", ".join(f"{name}: {count}" for name, count in said["counts"].items())
        )
    return 0
