"""CORS for tracking: pages on landing hosts may post with cookies and read the answer, others only
see refusals.

A preflight has no body and thus no funnel: it is answered by the landing hosts of the tenant that
host or path name, on the bare shared host by those of all. What a page may really write to is
decided by the funnel when the event arrives.
"""

from __future__ import annotations

from sinal_core.http.exchange import Answer, Header, Request
from sinal_core.http.problem import Problem
from sinal_hub.ingest.http import mount
from sinal_hub.ingest.tracking.origins import LandingHosts, host_of_origin, may_be_named
from sinal_hub.intake.ports import Plans

MAX_AGE_S = 600
VARY: Header = (b"vary", b"Origin")
FINAL = frozenset({400, 403, 404, 413, 415})  # sending the same again would be refused again

_PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"POST, GET, HEAD"),
    (b"access-control-allow-headers", b"content-type, content-encoding"),
    (b"access-control-max-age", str(MAX_AGE_S).encode()),
)


class Cors:
    """Decides which origins may read answers."""

    def __init__(self, *, plans: Plans, landing_hosts: LandingHosts) -> None:
        self._plans = plans
        self._hosts = landing_hosts

    def headers(self, request: Request, slug: str | None, *, status: int) -> tuple[Header, ...]:
        """The headers of an answer.

        Without permission only Vary, and who may see that it was refused for good.
        """
        origin = request.headers.get("origin")
        if origin is None:
            return (VARY,)
        if not (request.page_admitted or self._permits(request, slug, origin)):
            return _refused(origin) if status in FINAL else (VARY,)
        return (
            # by name: where credentials are allowed, browsers do not take `*` (Fetch, CORS protocol
            # and credentials)
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            # of an answer's headers scripts see only a few (Fetch, CORS-safelisted response-header
            # names), and this is not one of them
            (b"access-control-expose-headers", b"retry-after"),
            VARY,
        )

    async def preflight(self, request: Request, slug: str | None) -> Answer:
        """The answer to OPTIONS; its permission comes from `headers` like everybody's."""
        origin = request.headers.get("origin", "")
        return Answer(204, headers=_PREFLIGHT if self._permits(request, slug, origin) else ())

    def _permits(self, request: Request, slug: str | None, origin: str) -> bool:
        snapshot = self._plans.snapshot
        try:
            tenant = mount.place(snapshot, request, slug).tenant
        except Problem:
            return False
        hosts = self._hosts.of_tenant(snapshot, tenant) if tenant else self._hosts.of_all(snapshot)
        return host_of_origin(origin) in hosts


def _refused(origin: str) -> tuple[Header, ...]:
    """Lets any page read a final refusal: a page script that saw a network error instead would
    repeat it for days.

    This tells nobody anything new. A refusal is made of the request alone, in fixed words and names
    of its own fields, and whoever holds the public key, which stands in every landing page, gets
    the same from a command line with any Origin he likes. Credentials are not allowed here, so that
    nothing a browser adds for its visitor (cookies) can be in what a page reads; and a preflight of
    such a page is still not permitted.
    """
    return (
        ((b"access-control-allow-origin", origin.encode("latin-1")), VARY)
        if may_be_named(origin)
        else (VARY,)
    )
