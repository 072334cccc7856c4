"""`sinal suspend` and `sinal resume`: what stands still, for a platform's or a tenant's
administrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sinal_cli.client.commands import run
from sinal_cli.client.options import NO_API, ApiOptions

if TYPE_CHECKING:
    from sinal_cli.client.session import Session
    from sinal_cli.client.show import Output

Word = Literal["tenant", "funnel", "destination", "integration"]
KINDS: dict[Word, str] = {
    "tenant": "Tenant",
    "funnel": "Funnel",
    "destination": "Destination",
    "integration": "GatewayIntegration",
}
STOPPED: dict[Word, str] = {
    "tenant": "its pages and servers are answered 403, its gateways 503, and nothing is sent to "
    "Meta",
    "funnel": "its pages and servers are answered 403, its gateways 503; what was accepted before "
    "goes on",
    "destination": "nothing is sent to it; its events wait, and Meta takes them for 7 days",
    "integration": "its gateway is answered 503, so that it delivers again",
}


def suspend(
    kind: Word, name: str, /, *, tenant: str | None = None, api: ApiOptions = NO_API
) -> int:
    """Stop a tenant, funnel, destination or integration and leave everything in place.

    `sinal resume` lets it go on.

    Parameters
    ----------
    kind
        What it is.
    name
        Its name; of a tenant its slug.
    tenant
        Slug of its tenant; needed with a key of the platform, where there are several.
    """
    return run(api, lambda session, out: change(session, out, kind, name, tenant, suspended=True))


def resume(kind: Word, name: str, /, *, tenant: str | None = None, api: ApiOptions = NO_API) -> int:
    """Let what was suspended go on: what waits leaves at once.

    Parameters
    ----------
    kind
        What it is.
    name
        Its name; of a tenant its slug.
    tenant
        Slug of its tenant; needed with a key of the platform, where there are several.
    """
    return run(api, lambda session, out: change(session, out, kind, name, tenant, suspended=False))


def change(
    session: Session, out: Output, kind: Word, name: str, tenant: str | None, *, suspended: bool
) -> int:
    """Say it to the API, and what follows to the person; raises Refused, Unreachable."""
    from sinal_cli.client.tenants import chosen

    slug = name if kind == "tenant" else chosen(session, tenant)
    body = {"tenant": slug, "kind": KINDS[kind], "name": name, "suspended": suspended}
    done = session.put("/api/v1/suspensions", body)
    if out.lines:
        out.line(done)
        return 0
    said = f"is suspended: {STOPPED[kind]}" if suspended else "goes on: what waits leaves at once"
    out.say(f"{kind} {name} of {slug} {said}." if kind != "tenant" else f"tenant {slug} {said}.")
    out.say(f"Kept as {done['kept_as']}; it holds within seconds, once the operator has seen it.")
    return 0
